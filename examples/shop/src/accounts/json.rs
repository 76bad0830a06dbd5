//! Signing up, in and out as JSON.

use burgeon::prelude::*;

use super::customer::{Credentials, Customer, SignUp};
use super::service::Register;
use crate::visitor::Visitor;

pub(super) async fn sign_up(
    ctx: Ctx,
    State(register): State<Register>,
    visitor: Visitor,
    Valid(Json(form)): Valid<Json<SignUp>>,
) -> Result<Json<Customer>> {
    let customer = register.sign_up(&ctx, form).await?;
    visitor.sign_in(&customer.clone().into())?;
    Ok(Json(customer))
}

pub(super) async fn sign_in(
    ctx: Ctx,
    State(register): State<Register>,
    visitor: Visitor,
    Valid(Json(form)): Valid<Json<Credentials>>,
) -> Result<Json<Customer>> {
    let wrong = || Error::unauthenticated("Address or password is wrong.");
    let customer = register.sign_in(&ctx, form).await?.ok_or_else(wrong)?;
    visitor.sign_in(&customer.clone().into())?;
    Ok(Json(customer))
}

pub(super) async fn sign_out(visitor: Visitor) -> NoContent {
    visitor.sign_out();
    NoContent
}
