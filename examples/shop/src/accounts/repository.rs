//! Every statement on `accounts_customer`.

use burgeon::db::{On, Reads, Writes};
use burgeon::prelude::*;
use jiff::Timestamp;

use super::customer::Customer;

pub(super) async fn find(on: &impl On<Reads>, id: i64) -> Result<Option<Customer>> {
    sql!("accounts_find", "select id, email, name from accounts_customer where id = $1", id)
        .optional(on)
        .await
}

/// A customer with the hash of the password.
#[derive(Row)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) password_hash: String,
}

pub(super) async fn find_by_email(on: &impl On<Reads>, email: &str) -> Result<Option<Known>> {
    sql!(
        "accounts_find_by_email",
        "select id, email, name, password_hash from accounts_customer where email = $1",
        email
    )
    .optional(on)
    .await
}

pub(super) async fn insert(
    on: &impl On<Writes>,
    email: &str,
    name: &str,
    password_hash: &str,
    now: Timestamp,
) -> Result<Customer> {
    sql!(
        "accounts_insert",
        "insert into accounts_customer (email, name, password_hash, created_at) values ($1, $2, $3, $4)
         returning id, email, name",
        email,
        name,
        password_hash,
        now
    )
    .one(on)
    .await
}
