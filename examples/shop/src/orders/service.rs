//! Placing orders: the one place where money and stock meet.

use std::collections::HashMap;

use burgeon::prelude::*;
use jiff::Timestamp;

use super::FREE_DELIVERY_FROM;
use super::api::Orders;
use super::order::{Order, OrderLine, OrderToken, Place, Placing, PlacingLine};
use super::repository::{self, Head, NewHead};
use crate::cart::Cart;
use crate::catalog::{CatalogApi, Listing, Product, ProductId};
use crate::inventory::{InventoryApi, Stockroom};
use crate::recommendations::RecommendationsApi;

/// Orders on the customer's page.
const LATEST: i64 = 50;

/// The desk at which orders are placed.
#[derive(Clone)]
pub(super) struct Desk {
    db: Db,
    catalog: CatalogApi,
    listing: Listing,
    inventory: InventoryApi,
    stockroom: Stockroom,
    recommendations: RecommendationsApi,
}

/// A line of the basket with what is known about it now.
pub(super) struct BasketLine {
    pub(super) product: Product,
    pub(super) quantity: i64,
    pub(super) available: i64,
}

impl BasketLine {
    /// Price times quantity. A line is small enough, or the basket would have no bill.
    pub(super) fn amount(&self) -> Money {
        self.product.price.checked_mul(self.quantity).unwrap_or(self.product.price)
    }
}

/// What a basket costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) goods: Money,
    pub(super) delivery: Money,
    pub(super) total: Money,
}

impl Bill {
    /// Adds up prices and quantities, and the delivery.
    pub(super) fn of(lines: impl IntoIterator<Item = (Money, i64)>) -> Result<Self> {
        let beyond = || Error::invalid("This order is worth more than we can write down.");
        let mut goods = Money::ZERO;
        for (price, quantity) in lines {
            goods =
                price.checked_mul(quantity).and_then(|line| goods.checked_add(line)).ok_or_else(beyond)?;
        }
        let free = goods >= Money::from_raw(FREE_DELIVERY_FROM * Money::SCALE);
        let delivery = if free { Money::ZERO } else { Money::from_raw(39_500) };
        Ok(Self { goods, delivery, total: goods.checked_add(delivery).ok_or_else(beyond)? })
    }
}

impl Desk {
    pub(super) fn new(
        db: Db,
        (catalog, listing): (CatalogApi, Listing),
        (inventory, stockroom): (InventoryApi, Stockroom),
        recommendations: RecommendationsApi,
    ) -> Self {
        Self { db, catalog, listing, inventory, stockroom, recommendations }
    }

    /// The basket as it can be bought now.
    pub(super) async fn basket(&self, ctx: &Ctx, cart: &Cart) -> Result<Vec<BasketLine>> {
        let ids = cart.products();
        let stock = self.inventory.stock(ctx, &ids).await?;
        let available: HashMap<ProductId, i64> =
            stock.iter().map(|stock| (stock.product, stock.available)).collect();
        let quantities: HashMap<ProductId, i64> = cart.lines().iter().copied().collect();
        let products = self.catalog.products(ctx, &ids).await?;
        Ok(products
            .into_iter()
            .map(|product| BasketLine {
                quantity: quantities.get(&product.id).copied().unwrap_or(1),
                available: available.get(&product.id).copied().unwrap_or(0),
                product,
            })
            .collect())
    }

    /// A product that may be put into a basket.
    pub(super) async fn product(&self, ctx: &Ctx, id: ProductId) -> Result<Product> {
        self.catalog.product(ctx, id).await?.or_not_found("product")
    }

    /// What others bought with what is in the basket.
    pub(super) async fn companions(&self, ctx: &Ctx, cart: &Cart) -> Result<Vec<Product>> {
        let ids = self.recommendations.with(ctx, &cart.products(), 4).await?;
        self.catalog.products(ctx, &ids).await
    }

    /// The customer's latest orders, without their lines.
    pub(super) async fn of_customer(&self, ctx: &Ctx, customer: i64) -> Result<Vec<Order>> {
        let heads = repository::of_customer(&self.db.read(ctx), customer, LATEST).await?;
        heads.into_iter().map(|head| order(head, Vec::new())).collect()
    }

    /// Names and prices as they are now, whatever a page has shown.
    async fn priced(&self, tx: &Tx, placing: &Placing) -> Result<Vec<OrderLine>> {
        let ids: Vec<ProductId> = placing.lines.iter().map(|line| line.product).collect();
        let products = self.listing.current(tx, &ids).await?;
        let mut by_id: HashMap<ProductId, Product> =
            products.into_iter().map(|product| (product.id, product)).collect();
        let line = |placed: &PlacingLine| {
            let product = by_id.remove(&placed.product)?;
            Some(OrderLine {
                product: product.id,
                name: product.name,
                price: product.price,
                quantity: placed.quantity,
            })
        };
        let lines: Option<Vec<OrderLine>> = placing.lines.iter().map(line).collect();
        lines.ok_or_else(|| Error::not_found("The shop does not have one of these products."))
    }
}

impl Orders for Desk {
    async fn place(&self, ctx: &Ctx, customer: Option<i64>, placing: Placing) -> Result<Order> {
        if let Some(order) = self.order(ctx, placing.token).await? {
            return Ok(order);
        }
        let placed = retry!(
            3,
            self.db
                .tx(ctx, async |tx| {
                    let lines = self.priced(tx, &placing).await?;
                    let bill = Bill::of(lines.iter().map(|line| (line.price, line.quantity)))?;
                    let head = NewHead {
                        token: placing.token,
                        customer,
                        place: &placing.place,
                        goods: bill.goods,
                        delivery: bill.delivery,
                        placed_at: Timestamp::now(),
                    };
                    // First of all, so that the same form sent twice takes stock once.
                    let Some(number) = repository::insert(tx, head).await? else { return Ok(false) };
                    self.stockroom
                        .reserve(tx, lines.iter().map(|line| (line.product, line.quantity)))
                        .await?;
                    repository::insert_lines(tx, number, &lines).await?;
                    Ok(true)
                })
                .await
        )?;
        if placed {
            self.learn(ctx, &placing.lines).await;
        }
        self.order(ctx, placing.token).await?.or_not_found("order")
    }

    async fn order(&self, ctx: &Ctx, token: OrderToken) -> Result<Option<Order>> {
        let read = self.db.read(ctx);
        let Some(head) = repository::find(&read, token).await? else { return Ok(None) };
        let lines = repository::lines(&read, head.id).await?;
        order(head, lines).map(Some)
    }
}

impl Desk {
    /// Taste is not worth an order: what goes wrong here is written down and forgotten.
    async fn learn(&self, ctx: &Ctx, lines: &[PlacingLine]) {
        let products: Vec<ProductId> = lines.iter().map(|line| line.product).collect();
        if let Err(error) = self.recommendations.learn(ctx, &products).await {
            tracing::warn!(error = %error.detail(), "an order was not learnt from");
        }
    }
}

fn order(head: Head, lines: Vec<OrderLine>) -> Result<Order> {
    let total = head.goods.checked_add(head.delivery);
    let total =
        total.ok_or_else(|| Error::internal(format!("the total of order {} is out of range", head.id)))?;
    Ok(Order {
        number: head.id,
        token: head.token,
        customer: head.customer,
        place: Place {
            email: head.email,
            name: head.name,
            street: head.street,
            town: head.town,
            postcode: head.postcode,
        },
        goods: head.goods,
        delivery: head.delivery,
        total,
        placed_at: head.placed_at,
        lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pounds(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn delivery_is_free_from_fifty_pounds_on() {
        let bill = Bill::of([(pounds("24.99"), 2)]).unwrap();
        assert_eq!(
            (bill.goods, bill.delivery, bill.total),
            (pounds("49.98"), pounds("3.95"), pounds("53.93"))
        );
        let bill = Bill::of([(pounds("25.00"), 2)]).unwrap();
        assert_eq!((bill.delivery, bill.total), (Money::ZERO, pounds("50")));
    }

    #[test]
    fn a_bill_beyond_all_money_is_refused() {
        assert_eq!(Bill::of([(Money::from_raw(i64::MAX), 2)]).unwrap_err().kind(), Kind::Invalid);
    }
}
