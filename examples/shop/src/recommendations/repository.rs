//! Every statement on `recommendations_pair`.

use burgeon::db::{On, Reads, Writes, bulk};
use burgeon::prelude::*;

use crate::catalog::ProductId;

pub(super) async fn strongest(
    on: &impl On<Reads>,
    products: &[ProductId],
    limit: i64,
) -> Result<Vec<ProductId>> {
    sql!(
        "recommendations_strongest",
        "select other from recommendations_pair
         where product = any($1) and not (other = any($1))
         group by other order by sum(orders) desc, other limit $2",
        products,
        limit
    )
    .all(on)
    .await
}

/// Pairs of each of these products and what was bought with it most often, so many of each, the strongest first.
pub(super) async fn companions(
    on: &impl On<Reads>,
    products: &[ProductId],
    of_each: i64,
) -> Result<Vec<(ProductId, ProductId)>> {
    sql!(
        "recommendations_companions",
        "select product, other from (
             select product, other, row_number() over (partition by product order by orders desc, other) as place
             from recommendations_pair where product = any($1)
         ) as placed where place <= $2 order by product, place",
        products,
        of_each
    )
    .all(on)
    .await
}

/// Counts one order for each pair of these, both ways, in the order of their numbers: two orders that count the same
/// pairs at once never wait for each other in a circle.
pub(super) async fn count_up(on: &impl On<Writes>, products: &[ProductId]) -> Result<u64> {
    sql!(
        "recommendations_count_up",
        sqlite: "insert into recommendations_pair (product, other, orders)
                 select one.value, two.value, 1 from rarray($1) as one, rarray($1) as two
                 where one.value <> two.value order by one.value, two.value
                 on conflict (product, other) do update set orders = recommendations_pair.orders + 1",
        postgres: "insert into recommendations_pair (product, other, orders)
                 select one, two, 1 from unnest($1::bigint[]) as one, unnest($1) as two
                 where one <> two order by one, two
                 on conflict (product, other) do update set orders = recommendations_pair.orders + 1",
        products
    )
    .execute(on)
    .await
}

pub(super) async fn insert_all(
    tx: &Tx,
    pairs: impl Iterator<Item = (ProductId, ProductId, i64)> + Send,
) -> Result<u64> {
    bulk("recommendations_insert_all", "recommendations_pair", ["product", "other", "orders"])
        .on_conflict_do_nothing(["product", "other"])
        .insert(tx, pairs)
        .await
}
