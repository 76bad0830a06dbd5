//! The pages for signing up, in and out.

use burgeon::http::StatusCode;
use burgeon::prelude::*;
use maud::{Markup, html};
use schemars::JsonSchema;
use serde::Deserialize;

use super::customer::{Credentials, SignUp};
use super::service::Register;
use crate::ui::form::{self, Field};
use crate::ui::page;
use crate::visitor::Visitor;

/// Where to go afterwards; only places of this shop.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Onward {
    to: Option<String>,
}

/// A form that is only a button.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Nothing {}

impl Onward {
    fn target(&self) -> &str {
        self.to.as_deref().unwrap_or("/")
    }
}

pub(super) async fn sign_up_form(visitor: Visitor, Query(onward): Query<Onward>) -> Html<String> {
    sign_up_page(&visitor, &Submitted::blank(), &onward)
}

pub(super) async fn sign_up(
    ctx: Ctx,
    State(register): State<Register>,
    visitor: Visitor,
    Query(onward): Query<Onward>,
    submitted: Submitted<SignUp>,
) -> Result<Response> {
    let again = submitted.clone();
    let form = match submitted.valid() {
        Ok(form) => form,
        Err(wrong) => return refused(sign_up_page(&visitor, &wrong, &onward)),
    };
    match register.sign_up(&ctx, form).await {
        Ok(customer) => {
            visitor.sign_in(&customer.into())?;
            visitor.flash().success("Welcome! Your account is ready.");
            Redirect::back_to(onward.target(), "/").reply()
        }
        Err(error) if error.kind() == Kind::Conflict => refused(sign_up_page(
            &visitor,
            &again.with_error("email", "has an account here; please sign in"),
            &onward,
        )),
        Err(error) => Err(error),
    }
}

pub(super) async fn sign_in_form(visitor: Visitor, Query(onward): Query<Onward>) -> Html<String> {
    sign_in_page(&visitor, &Submitted::blank(), &onward)
}

pub(super) async fn sign_in(
    ctx: Ctx,
    State(register): State<Register>,
    visitor: Visitor,
    Query(onward): Query<Onward>,
    submitted: Submitted<Credentials>,
) -> Result<Response> {
    let again = submitted.clone();
    let form = match submitted.valid() {
        Ok(form) => form,
        Err(wrong) => return refused(sign_in_page(&visitor, &wrong, &onward)),
    };
    match register.sign_in(&ctx, form).await? {
        Some(customer) => {
            visitor.sign_in(&customer.into())?;
            Redirect::back_to(onward.target(), "/").reply()
        }
        None => {
            refused(sign_in_page(&visitor, &again.with_error("password", "or the address is wrong"), &onward))
        }
    }
}

pub(super) async fn sign_out(visitor: Visitor, Form(Nothing {}): Form<Nothing>) -> Redirect {
    visitor.sign_out();
    visitor.flash().notice("You are signed out. See you soon.");
    Redirect::to("/")
}

fn refused(page: Html<String>) -> Result<Response> {
    (StatusCode::UNPROCESSABLE_ENTITY, page).reply()
}

fn sign_up_page(visitor: &Visitor, submitted: &Submitted<SignUp>, onward: &Onward) -> Html<String> {
    let body = html! {
        (Field::text("name", "Your name").autocomplete("name").render(submitted))
        (Field::email("email", "Email").autocomplete("email").render(submitted))
        (Field::password("password", "Password").autocomplete("new-password").hint("Ten characters or more; a sentence is fine.").render(submitted))
        button.button.wide type="submit" { "Create account" }
    };
    let other = html! { "Been here before? " a href={ "/sign-in" (onward_query(onward)) } { "Sign in" } };
    door(visitor, "Create an account", "/sign-up", onward, &body, &other)
}

fn sign_in_page(visitor: &Visitor, submitted: &Submitted<Credentials>, onward: &Onward) -> Html<String> {
    let body = html! {
        (Field::email("email", "Email").autocomplete("email").render(submitted))
        (Field::password("password", "Password").autocomplete("current-password").render(submitted))
        button.button.wide type="submit" { "Sign in" }
    };
    let other = html! { "New here? " a href={ "/sign-up" (onward_query(onward)) } { "Create an account" } };
    door(visitor, "Sign in", "/sign-in", onward, &body, &other)
}

/// The frame that both forms share.
fn door(
    visitor: &Visitor,
    title: &str,
    action: &str,
    onward: &Onward,
    body: &Markup,
    other: &Markup,
) -> Html<String> {
    page(
        visitor,
        title,
        html! {
            section.door {
                h1 { (title) }
                form.stack method="post" action={ (action) (onward_query(onward)) } {
                    (form::token(visitor))
                    (body)
                }
                p.quiet { (other) }
            }
        },
    )
}

fn onward_query(onward: &Onward) -> String {
    onward.to.as_deref().map(|to| format!("?to={}", form::query_escaped(to))).unwrap_or_default()
}
