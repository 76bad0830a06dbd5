//! The checkout: an address, a look at the bill, and one button.

use burgeon::http::StatusCode;
use burgeon::prelude::*;
use maud::{Markup, html};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::Orders;
use super::basket::summary;
use super::order::{OrderToken, Place, Placing, PlacingLine};
use super::service::{BasketLine, Bill, Desk};
use crate::inventory::SoldOut;
use crate::ui::form::{self, Field};
use crate::ui::{self, part};
use crate::visitor::Visitor;

/// The form.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Checkout {
    token: OrderToken,
    email: String,
    name: String,
    street: String,
    town: String,
    postcode: String,
}

impl Checkout {
    fn place(&self) -> Place {
        Place {
            email: self.email.clone(),
            name: self.name.clone(),
            street: self.street.clone(),
            town: self.town.clone(),
            postcode: self.postcode.clone(),
        }
    }
}

impl Input for Checkout {
    fn check(&self, check: &mut Checks) {
        self.place().check(check);
    }
}

pub(super) async fn page(ctx: Ctx, State(desk): State<Desk>, visitor: Visitor) -> Result<Response> {
    let mut form = Submitted::blank().with_typed("token", OrderToken::random()?.to_string());
    if let Some(customer) = visitor.customer() {
        form = form.with_typed("email", customer.email).with_typed("name", customer.name);
    }
    show(&ctx, &desk, &visitor, &form).await
}

pub(super) async fn submit(
    ctx: Ctx,
    State(desk): State<Desk>,
    visitor: Visitor,
    submitted: Submitted<Checkout>,
) -> Result<Response> {
    let checkout = match submitted.valid() {
        Ok(checkout) => checkout,
        Err(wrong) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, show(&ctx, &desk, &visitor, &wrong).await?).reply();
        }
    };
    // The form sent twice: the basket is empty by now, the order is there.
    if let Some(order) = desk.order(&ctx, checkout.token).await? {
        return Redirect::to(format!("/orders/{}", order.token)).reply();
    }
    let cart = visitor.cart();
    if cart.is_empty() {
        return Redirect::to("/cart").reply();
    }
    let line = |&(product, quantity): &(_, i64)| PlacingLine { product, quantity };
    let placing = Placing {
        token: checkout.token,
        place: checkout.place(),
        lines: cart.lines().iter().map(line).collect(),
    };
    match desk.place(&ctx, visitor.customer().map(|customer| customer.id), placing).await {
        Ok(order) => {
            visitor.set_cart(&Default::default())?;
            Redirect::to(format!("/orders/{}", order.token)).reply()
        }
        Err(error) if error.find::<SoldOut>().is_some() => {
            visitor.flash().failure("Somebody was faster: something in your basket has just sold out.");
            Redirect::to("/cart").reply()
        }
        Err(error) => Err(error),
    }
}

async fn show(ctx: &Ctx, desk: &Desk, visitor: &Visitor, form: &Submitted<Checkout>) -> Result<Response> {
    let lines = desk.basket(ctx, &visitor.cart()).await?;
    if lines.is_empty() {
        return Redirect::to("/cart").reply();
    }
    let bill = Bill::of(lines.iter().map(|line| (line.product.price, line.quantity)))?;
    ui::page(
        visitor,
        "Checkout",
        html! {
            h1 { "Checkout" }
            form.two method="post" action="/checkout" {
                (form::token(visitor))
                input type="hidden" name="token" value=(form.typed("token"));
                div { (contact(visitor, form)) (delivery(form)) (payment()) }
                (bill_of(&lines, bill))
            }
        },
    )
    .reply()
}

fn contact(visitor: &Visitor, form: &Submitted<Checkout>) -> Markup {
    html! {
        section.panel {
            h2 { "Contact" }
            (Field::email("email", "Email").hint("For the invoice, nothing else.").render(form))
            @if visitor.customer().is_none() {
                p.quiet { "Have an account? " a href="/sign-in?to=/checkout" { "Sign in" } " to find this order again later." }
            }
        }
    }
}

fn delivery(form: &Submitted<Checkout>) -> Markup {
    html! {
        section.panel {
            h2 { "Delivery" }
            (Field::text("name", "Name").autocomplete("name").render(form))
            (Field::text("street", "Street and number").autocomplete("street-address").render(form))
            div.pair {
                (Field::text("town", "Town").autocomplete("address-level2").render(form))
                (Field::text("postcode", "Postcode").autocomplete("postal-code").render(form))
            }
        }
    }
}

fn payment() -> Markup {
    html! {
        section.panel {
            h2 { "Payment" }
            p { "On invoice. It comes with the parcel and is due in 14 days." }
        }
    }
}

fn bill_of(lines: &[BasketLine], bill: Bill) -> Markup {
    html! {
        aside.sum {
            h2 { "Your order" }
            ul {
                @for line in lines {
                    li { span { (line.quantity) " × " (line.product.name) } (part::price(line.amount())) }
                }
            }
            (summary(bill))
            button.button.wide type="submit" { "Place order" }
            p.quiet { a href="/cart" { "Change the basket" } }
        }
    }
}
