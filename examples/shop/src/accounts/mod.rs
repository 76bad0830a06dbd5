//! Customers: signing up, in and out.
//!
//! The module owns `accounts_customer`. A customer's password leaves it never, not even as a hash.

mod api;
mod customer;
mod json;
mod pages;
mod password;
mod repository;
mod service;

pub use api::{Accounts, AccountsApi};
pub(crate) use customer::is_address;
pub use customer::{Credentials, Customer, SignUp};

use burgeon::prelude::*;

use service::Register;

/// The module.
pub fn module(db: Db, tasks: Tasks) -> Module {
    let register = Register::new(db, tasks);
    Module::new("accounts")
        .migrations(migrations!["accounts/0001_customers.sql"])
        .provides(AccountsApi::direct(register.clone()))
        .routes(Routes::new(register).routes([
            get("/sign-up", pages::sign_up_form).name("sign-up form").hidden(),
            post("/sign-up", pages::sign_up).name("sign up").hidden(),
            get("/sign-in", pages::sign_in_form).name("sign-in form").hidden(),
            post("/sign-in", pages::sign_in).name("sign in").hidden(),
            post("/sign-out", pages::sign_out).name("sign out").hidden(),
            post("/api/customers", json::sign_up).name("sign up (JSON)").tag("accounts"),
            post("/api/session", json::sign_in).name("sign in (JSON)").tag("accounts"),
            delete("/api/session", json::sign_out).name("sign out (JSON)").tag("accounts"),
        ]))
}
