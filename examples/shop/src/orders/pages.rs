//! Orders that were placed.

use burgeon::prelude::*;
use maud::html;

use super::api::Orders;
use super::basket::summary;
use super::order::OrderToken;
use super::service::{Bill, Desk};
use crate::ui::{self, form, icon, part};
use crate::visitor::Visitor;

pub(super) async fn mine(ctx: Ctx, State(desk): State<Desk>, visitor: Visitor) -> Result<Response> {
    let Some(customer) = visitor.customer() else { return Redirect::to("/sign-in?to=/orders").reply() };
    let orders = desk.of_customer(&ctx, customer.id).await?;
    ui::page(
        &visitor,
        "Your orders",
        html! {
            div.heading {
                h1 { "Your orders" }
                form method="post" action="/sign-out" { (form::token(&visitor)) button.small type="submit" { "Sign out" } }
            }
            @if orders.is_empty() {
                div.empty {
                    h2 { "No orders yet" }
                    a.button href="/search" { "Look around" }
                }
            }
            ul.orders {
                @for order in &orders {
                    li {
                        a href={ "/orders/" (order.token) } {
                            b { "Order " (order.number) }
                            (part::price(order.total))
                            span.quiet { (part::day(order.placed_at)) }
                        }
                    }
                }
            }
        },
    )
    .reply()
}

/// An order's page. Its address is its key: whoever has it has placed the order or was given it by who has.
pub(super) async fn one(
    ctx: Ctx,
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(token): Path<OrderToken>,
) -> Result<Html<String>> {
    let order = desk.order(&ctx, token).await?.or_not_found("order")?;
    let bill = Bill { goods: order.goods, delivery: order.delivery, total: order.total };
    Ok(ui::page(
        &visitor,
        &format!("Order {}", order.number),
        html! {
            div.thanks {
                (icon::check())
                div {
                    h1 { "Thank you" }
                    p.quiet { "Order " (order.number) ", " time datetime=(order.placed_at) { (part::day(order.placed_at)) } }
                }
            }
            div.two {
                ul.lines.slim {
                    @for line in &order.lines {
                        li {
                            span.quiet { (line.quantity) " ×" }
                            div { a.name href={ "/products/" (line.product) } { (line.name) } p.quiet { (part::price(line.price)) " each" } }
                            (part::price(line.price.checked_mul(line.quantity).unwrap_or(line.price)))
                        }
                    }
                }
                aside.sum {
                    h2 { "Summary" }
                    (summary(bill))
                    h2 { "Delivery" }
                    address {
                        (order.place.name) br; (order.place.street) br; (order.place.town) " " (order.place.postcode)
                    }
                    p.quiet { "The invoice goes to " (order.place.email) "." }
                }
            }
        },
    ))
}
