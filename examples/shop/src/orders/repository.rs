//! Every statement on `orders_order` and `orders_line`.

use burgeon::db::{On, Reads, bulk};
use burgeon::prelude::*;
use jiff::Timestamp;

use super::order::{OrderLine, OrderToken, Place};

/// An order without its lines.
#[derive(Row)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) token: OrderToken,
    pub(super) customer: Option<i64>,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) street: String,
    pub(super) town: String,
    pub(super) postcode: String,
    pub(super) goods: Money,
    pub(super) delivery: Money,
    pub(super) placed_at: Timestamp,
}

pub(super) async fn find(on: &impl On<Reads>, token: OrderToken) -> Result<Option<Head>> {
    sql!(
        "orders_find",
        "select id, token, customer, email, name, street, town, postcode, goods, delivery, placed_at
         from orders_order where token = $1",
        token
    )
    .optional(on)
    .await
}

pub(super) async fn lines(on: &impl On<Reads>, order: i64) -> Result<Vec<OrderLine>> {
    sql!(
        "orders_lines",
        "select product, name, price, quantity from orders_line where order_id = $1 order by position",
        order
    )
    .all(on)
    .await
}

/// The latest orders of a customer.
pub(super) async fn of_customer(on: &impl On<Reads>, customer: i64, limit: i64) -> Result<Vec<Head>> {
    sql!(
        "orders_of_customer",
        "select id, token, customer, email, name, street, town, postcode, goods, delivery, placed_at
         from orders_order where customer = $1 order by id desc limit $2",
        customer,
        limit
    )
    .all(on)
    .await
}

/// What is written at the head of an order.
pub(super) struct NewHead<'a> {
    pub(super) token: OrderToken,
    pub(super) customer: Option<i64>,
    pub(super) place: &'a Place,
    pub(super) goods: Money,
    pub(super) delivery: Money,
    pub(super) placed_at: Timestamp,
}

/// The new order's number, or nothing if the token has placed one: also one that is being placed at this moment, for
/// whose end Postgres waits here.
pub(super) async fn insert(tx: &Tx, new: NewHead<'_>) -> Result<Option<i64>> {
    let NewHead { token, customer, place, goods, delivery, placed_at } = new;
    sql!(
        "orders_insert",
        "insert into orders_order
             (token, customer, email, name, street, town, postcode, goods, delivery, placed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (token) do nothing returning id",
        token,
        customer,
        place.email.trim(),
        place.name.trim(),
        place.street.trim(),
        place.town.trim(),
        place.postcode.trim(),
        goods,
        delivery,
        placed_at
    )
    .optional(tx)
    .await
}

pub(super) async fn insert_lines(tx: &Tx, order: i64, lines: &[OrderLine]) -> Result<u64> {
    let row = |(position, line): (usize, &OrderLine)| {
        (order, position as i64, line.product, line.name.clone(), line.price, line.quantity)
    };
    let rows: Vec<_> = lines.iter().enumerate().map(row).collect();
    bulk(
        "orders_insert_lines",
        "orders_line",
        ["order_id", "position", "product", "name", "price", "quantity"],
    )
    .insert(tx, rows)
    .await
}
