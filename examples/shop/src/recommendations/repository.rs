//! Every statement on `recommendations_pair`.

use burgeon::db::{On, Reads, bulk};
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

pub(super) async fn count_up(tx: &Tx, product: ProductId, other: ProductId) -> Result<()> {
    sql!(
        "recommendations_count_up",
        "insert into recommendations_pair (product, other, orders) values ($1, $2, 1)
         on conflict (product, other) do update set orders = recommendations_pair.orders + 1",
        product,
        other
    )
    .execute(tx)
    .await?;
    Ok(())
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
