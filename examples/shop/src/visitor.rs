//! Who is looking: the customer and the basket in the session, messages to show, the token for forms.
//!
//! All of it travels in signed cookies, so any node can serve the next page.

use burgeon::http::{Extract, Head, Message};
use burgeon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cart::Cart;

const CUSTOMER: &str = "customer";
const CART: &str = "cart";

/// The visitor of a page; an argument of any handler.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    session: Session,
    flash: Flash,
    csrf: Csrf,
}

/// A customer who has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedIn {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) email: String,
}

impl SignedIn {
    pub(crate) fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or(&self.name)
    }

    /// `Ada L.`: all that a review shows of its author.
    pub(crate) fn byline(&self) -> String {
        let mut names = self.name.split_whitespace();
        let first = names.next().unwrap_or_default().to_owned();
        match names.next_back().and_then(|last| last.chars().next()) {
            Some(initial) => format!("{first} {initial}."),
            None => first,
        }
    }
}

impl<S: Sync> Extract<S> for Visitor {
    async fn extract(head: &mut Head, state: &S) -> Result<Self> {
        Ok(Self {
            session: Session::extract(head, state).await?,
            flash: Flash::extract(head, state).await?,
            csrf: Csrf::extract(head, state).await?,
        })
    }
}

impl Visitor {
    /// The customer, if signed in.
    pub(crate) fn customer(&self) -> Option<SignedIn> {
        self.session.get(CUSTOMER)
    }

    /// The customer, or [`Kind::Unauthenticated`].
    pub(crate) fn signed_in(&self) -> Result<SignedIn> {
        self.customer().ok_or_else(|| Error::unauthenticated("Please sign in first."))
    }

    /// From now on this customer; forms given out before are worthless.
    pub(crate) fn sign_in(&self, customer: &SignedIn) -> Result<()> {
        self.session.renew();
        self.session.set(CUSTOMER, customer)
    }

    /// Nobody again, with an empty basket.
    pub(crate) fn sign_out(&self) {
        self.session.clear();
    }

    /// What the visitor means to buy.
    pub(crate) fn cart(&self) -> Cart {
        self.session.get(CART).unwrap_or_default()
    }

    /// Keeps the basket.
    pub(crate) fn set_cart(&self, cart: &Cart) -> Result<()> {
        if cart.is_empty() {
            self.session.remove(CART);
            return Ok(());
        }
        self.session.set(CART, cart)
    }

    /// Messages for the next page.
    pub(crate) fn flash(&self) -> &Flash {
        &self.flash
    }

    /// Messages that came with this request, to be shown now.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.flash.take()
    }

    /// The token for the page's forms.
    pub(crate) fn form_token(&self) -> &str {
        self.csrf.token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byline_shows_a_first_name_and_an_initial() {
        let named = |name: &str| SignedIn { id: 1, name: name.into(), email: String::new() }.byline();
        assert_eq!(named("Ada King Lovelace"), "Ada L.");
        assert_eq!(named("Ada"), "Ada");
        assert_eq!(named(""), "");
    }
}
