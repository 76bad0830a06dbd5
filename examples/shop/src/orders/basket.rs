//! The basket's page.

use burgeon::prelude::*;
use maud::{Markup, html};
use schemars::JsonSchema;
use serde::Deserialize;

use super::service::{BasketLine, Bill, Desk};
use crate::cart::MOST_OF_ONE;
use crate::catalog::ProductId;
use crate::ui::{self, form, part};
use crate::visitor::Visitor;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Adding {
    product: ProductId,
    quantity: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Changing {
    quantity: i64,
}

pub(super) async fn page(ctx: Ctx, State(desk): State<Desk>, visitor: Visitor) -> Result<Html<String>> {
    let cart = visitor.cart();
    let lines = desk.basket(&ctx, &cart).await?;
    let bill = Bill::of(lines.iter().map(|line| (line.product.price, line.quantity)))?;
    let companions = desk.companions(&ctx, &cart).await?;
    Ok(ui::page(
        &visitor,
        "Your basket",
        html! {
            h1 { "Your basket" }
            @if lines.is_empty() {
                div.empty {
                    h2 { "Nothing in it yet" }
                    p.quiet { "Put in what you like; it stays for two weeks." }
                    a.button href="/search" { "Look around" }
                }
            } @else {
                div.two {
                    ul.lines { @for line in &lines { (self::line(&visitor, line)) } }
                    aside.sum {
                        h2 { "Summary" }
                        (summary(bill))
                        @if lines.iter().all(|line| line.available >= line.quantity) {
                            a.button.wide href="/checkout" { "To the checkout" }
                        } @else {
                            p.error { "Please change what is no longer there." }
                        }
                    }
                }
            }
            (part::shelf("Goes well with it", None, &companions))
        },
    ))
}

pub(super) async fn add(
    ctx: Ctx,
    State(desk): State<Desk>,
    visitor: Visitor,
    Form(adding): Form<Adding>,
) -> Result<Redirect> {
    let product = desk.product(&ctx, adding.product).await?;
    let mut cart = visitor.cart();
    match cart.add(product.id, adding.quantity) {
        Ok(()) => {
            visitor.set_cart(&cart)?;
            visitor.flash().success(format!("{} is in your basket.", product.name));
        }
        Err(_full) => visitor.flash().failure("Your basket is full. Please check out first."),
    }
    Ok(Redirect::to("/cart"))
}

pub(super) async fn change(
    visitor: Visitor,
    Path(product): Path<ProductId>,
    Form(changing): Form<Changing>,
) -> Result<Redirect> {
    let mut cart = visitor.cart();
    cart.set(product, changing.quantity);
    visitor.set_cart(&cart)?;
    Ok(Redirect::to("/cart"))
}

fn line(visitor: &Visitor, line: &BasketLine) -> Markup {
    let BasketLine { product, quantity, available } = line;
    let amount = line.amount();
    let most = (*available).clamp(*quantity, MOST_OF_ONE);
    let address = format!("/cart/{}", product.id);
    html! {
        li {
            img src=(product.picture()) alt="" width="400" height="400";
            div {
                a.name href=(product.href()) { (product.name) }
                p.quiet { (part::price(product.price)) " each" }
                @if available < quantity {
                    p.error { @if *available == 0 { "Sold out." } @else { "Only " (available) " left." } }
                }
                div.amount {
                    form.amount method="post" action=(address) {
                        (form::token(visitor))
                        label.hidden for={ "quantity-" (product.id) } { "How many " (product.name) }
                        select #{ "quantity-" (product.id) } name="quantity" {
                            @for number in 1..=most { option value=(number) selected[number == *quantity] { (number) } }
                        }
                        button.small type="submit" { "Change" }
                    }
                    form method="post" action=(address) {
                        (form::token(visitor))
                        input type="hidden" name="quantity" value="0";
                        button.small type="submit" { "Remove" span.hidden { " " (product.name) } }
                    }
                }
            }
            (part::price(amount))
        }
    }
}

/// Goods, delivery, total.
pub(super) fn summary(bill: Bill) -> Markup {
    html! {
        dl {
            dt { "Goods" } dd { (part::price(bill.goods)) }
            dt { "Delivery" } dd { @if bill.delivery == Money::ZERO { "free" } @else { (part::price(bill.delivery)) } }
            dt.total { "Total" } dd.total { (part::price(bill.total)) }
        }
    }
}
