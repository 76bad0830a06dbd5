//! From lines of an export to orders of this shop.

use std::collections::HashMap;
use std::time::Duration;

use burgeon::prelude::*;
use jiff::Timestamp;

use super::super::file::{Entry, Export};
use super::super::line::Line;
use crate::cart::MOST_OF_ONE;
use crate::catalog::ProductId;
use crate::orders::{OrderToken, Place, Placing, PlacingLine};

/// The shop takes no more in one order.
const MOST_LINES: usize = 30;

/// An order, and how long after the first one it was placed.
pub(super) struct Due {
    pub(super) after: Duration,
    pub(super) placing: Placing,
}

/// The invoices of an export, one after the other. Cancellations, and what has no positive quantity, are left out.
pub(super) struct Orders {
    export: Export,
    products: Vec<ProductId>,
    codes: HashMap<String, ProductId>,
    first: Option<Timestamp>,
    held: Option<Line>,
}

impl Orders {
    /// `products` by popularity; there is at least one.
    pub(super) fn new(export: Export, products: Vec<ProductId>) -> Self {
        Self { export, products, codes: HashMap::new(), first: None, held: None }
    }

    /// The next order, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Due>> {
        loop {
            let Some(first) = self.line()? else { return Ok(None) };
            let (invoice, sold_at, customer) = (first.invoice.clone(), first.sold_at, first.customer);
            let is_order = !first.is_cancellation();
            let mut lines: Vec<PlacingLine> = Vec::new();
            let mut line = Some(first);
            while let Some(mut taken) = line.take() {
                if taken.invoice != invoice {
                    self.held = Some(taken);
                    break;
                }
                let quantity = taken.quantity.min(MOST_OF_ONE);
                let product = self.product(std::mem::take(&mut taken.product));
                if quantity > 0
                    && lines.len() < MOST_LINES
                    && lines.iter().all(|line| line.product != product)
                {
                    lines.push(PlacingLine { product, quantity });
                }
                line = self.line()?;
            }
            if is_order && !lines.is_empty() {
                let first = *self.first.get_or_insert(sold_at);
                let after = sold_at.duration_since(first).unsigned_abs();
                return Ok(Some(Due { after, placing: placing(customer, lines)? }));
            }
        }
    }

    /// The next line that can be read; what cannot is the import's business.
    fn line(&mut self) -> Result<Option<Line>> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        loop {
            match self.export.next()? {
                Some(Entry::Line(_, line)) => return Ok(Some(line)),
                Some(Entry::Refused(..)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Codes are met about as often as they sell, so the first met get the most popular products.
    fn product(&mut self, code: String) -> ProductId {
        let next = self.products[self.codes.len() % self.products.len()];
        *self.codes.entry(code).or_insert(next)
    }
}

fn placing(customer: Option<i64>, lines: Vec<PlacingLine>) -> Result<Placing> {
    let name = customer.map_or("A guest".to_owned(), |number| format!("Customer {number}"));
    let place = Place {
        email: format!("customer{}@example.com", customer.unwrap_or_default()),
        name,
        street: "1 High Street".to_owned(),
        town: "London".to_owned(),
        postcode: "N1 1AA".to_owned(),
    };
    Ok(Placing { token: OrderToken::random()?, place, lines })
}
