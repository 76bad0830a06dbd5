//! A basket: which products, how many of each. Pure; it travels in the visitor's signed session, so every node knows it.

use serde::{Deserialize, Serialize};

use crate::catalog::ProductId;

/// So that it fits the session's cookie.
const MOST_LINES: usize = 30;
/// More of one thing is an order by telephone.
pub(crate) const MOST_OF_ONE: i64 = 20;

/// What a visitor means to buy, in the order it was added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cart(Vec<(ProductId, i64)>);

/// The basket holds as many different products as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Cart {
    /// Puts so many more in, up to [`MOST_OF_ONE`].
    pub(crate) fn add(&mut self, product: ProductId, quantity: i64) -> Result<(), Full> {
        let quantity = quantity.clamp(1, MOST_OF_ONE);
        if let Some(line) = self.0.iter_mut().find(|line| line.0 == product) {
            line.1 = (line.1 + quantity).min(MOST_OF_ONE);
            return Ok(());
        }
        if self.0.len() == MOST_LINES {
            return Err(Full);
        }
        self.0.push((product, quantity));
        Ok(())
    }

    /// Changes how many; none takes the product out.
    pub(crate) fn set(&mut self, product: ProductId, quantity: i64) {
        if quantity < 1 {
            self.0.retain(|line| line.0 != product);
        } else if let Some(line) = self.0.iter_mut().find(|line| line.0 == product) {
            line.1 = quantity.min(MOST_OF_ONE);
        }
    }

    /// Products and quantities.
    pub(crate) fn lines(&self) -> &[(ProductId, i64)] {
        &self.0
    }

    /// The products.
    pub(crate) fn products(&self) -> Vec<ProductId> {
        self.0.iter().map(|line| line.0).collect()
    }

    /// How many things there are in it.
    pub(crate) fn count(&self) -> i64 {
        self.0.iter().map(|line| line.1).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_the_same_thing_adds_up_and_stops_at_the_most() {
        let mut cart = Cart::default();
        cart.add(ProductId(1), 2).unwrap();
        cart.add(ProductId(1), 3).unwrap();
        assert_eq!(cart.lines(), [(ProductId(1), 5)]);
        cart.add(ProductId(1), i64::MAX).unwrap();
        assert_eq!(cart.count(), MOST_OF_ONE);
    }

    #[test]
    fn none_of_it_takes_it_out() {
        let mut cart = Cart::default();
        cart.add(ProductId(1), 2).unwrap();
        cart.set(ProductId(1), 0);
        assert!(cart.is_empty());
    }

    #[test]
    fn a_full_basket_says_so_and_still_takes_more_of_what_it_has() {
        let mut cart = Cart::default();
        for id in 0..MOST_LINES as i64 {
            cart.add(ProductId(id), 1).unwrap();
        }
        assert_eq!(cart.add(ProductId(999), 1), Err(Full));
        assert_eq!(cart.add(ProductId(0), 1), Ok(()));
    }
}
