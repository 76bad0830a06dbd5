//! A customer, and the forms one fills in.

use std::fmt;

use burgeon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::visitor::SignedIn;

/// A customer as the shop knows them.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize, JsonSchema)]
pub struct Customer {
    /// Their number.
    pub id: i64,
    /// Their address, in small letters.
    pub email: String,
    /// What they want to be called.
    pub name: String,
}

impl From<Customer> for SignedIn {
    fn from(customer: Customer) -> Self {
        SignedIn { id: customer.id, name: customer.name, email: customer.email }
    }
}

/// The form of somebody new.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignUp {
    /// What they want to be called.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Ten characters or more.
    pub password: String,
}

/// The form of somebody who has been here.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
}

// A password must not reach a log by way of `{:?}`.
impl fmt::Debug for SignUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignUp").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("email", &self.email).finish_non_exhaustive()
    }
}

impl Input for SignUp {
    fn check(&self, check: &mut Checks) {
        check.length("name", self.name.trim(), 1..=80);
        check.that("email", is_address(&self.email), "must be an email address, such as ada@example.com");
        // NIST SP 800-63B: length is what counts, and a longest for the hash's sake.
        check.length("password", &self.password, 10..=200);
    }
}

impl Input for Credentials {
    fn check(&self, check: &mut Checks) {
        check.not_blank("email", &self.email);
        check.not_blank("password", &self.password);
        check.that("password", self.password.len() <= 1_000, "must have at most 200 characters");
    }
}

/// As it is compared and kept.
pub(super) fn normalised(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Whether a letter could be sent there, as far as looking tells; only sending one proves it.
pub(crate) fn is_address(text: &str) -> bool {
    let text = text.trim();
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |part: &str| {
        !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@')
    };
    plain(local)
        && plain(domain)
        && text.len() <= 254
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides_and_a_domain_with_a_dot() {
        for good in ["ada@example.com", " Ada.L+shop@sub.example.org "] {
            assert!(is_address(good), "{good}");
        }
        for bad in
            ["", "ada", "ada@", "@example.com", "ada@localhost", "a b@example.com", "ada@example.", "a@b@c.d"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let form = Credentials { email: "ada@example.com".into(), password: "hunter2hunter2".into() };
        assert!(!format!("{form:?}").contains("hunter2"));
    }
}
