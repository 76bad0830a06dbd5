//! What other modules may ask of the accounts.

use burgeon::prelude::*;

use super::customer::Customer;

/// The accounts, for other modules.
#[burgeon::api]
pub trait Accounts {
    /// The customer of this number.
    async fn customer(&self, ctx: &Ctx, id: i64) -> Result<Option<Customer>>;
}
