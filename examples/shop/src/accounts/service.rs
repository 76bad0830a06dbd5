//! Signing up and in.

use burgeon::db::Fault;
use burgeon::prelude::*;
use jiff::Timestamp;

use super::api::Accounts;
use super::customer::{Credentials, Customer, SignUp, normalised};
use super::password::Passwords;
use super::repository;

/// The register of customers.
#[derive(Clone)]
pub(super) struct Register {
    db: Db,
    passwords: Passwords,
}

impl Register {
    pub(super) fn new(db: Db, tasks: Tasks) -> Self {
        Self { db, passwords: Passwords::new(tasks) }
    }

    /// A new customer; [`Kind::Conflict`] if the address has an account.
    pub(super) async fn sign_up(&self, ctx: &Ctx, form: SignUp) -> Result<Customer> {
        let hash = self.passwords.hash(form.password).await?;
        let email = normalised(&form.email);
        let inserted =
            repository::insert(&self.db.write(ctx), &email, form.name.trim(), &hash, Timestamp::now()).await;
        inserted.map_err(|error| match Fault::of(&error) {
            Some(Fault::UniqueViolation { .. }) => {
                Error::conflict("There is an account with this address. Please sign in.").with_source(error)
            }
            _ => error,
        })
    }

    /// The customer of these credentials, or nothing: who tries shall not learn which half was wrong.
    pub(super) async fn sign_in(&self, ctx: &Ctx, form: Credentials) -> Result<Option<Customer>> {
        let known = repository::find_by_email(&self.db.read(ctx), &normalised(&form.email)).await?;
        let hash = known.as_ref().map(|known| known.password_hash.clone());
        let right = self.passwords.verify(form.password, hash).await?;
        Ok(known.filter(|_| right).map(|known| Customer {
            id: known.id,
            email: known.email,
            name: known.name,
        }))
    }
}

impl Accounts for Register {
    async fn customer(&self, ctx: &Ctx, id: i64) -> Result<Option<Customer>> {
        repository::find(&self.db.read(ctx), id).await
    }
}
