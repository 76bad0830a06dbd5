//! Every statement on `catalog_product`.

use burgeon::db::{Engine, On, Reads, bulk};
use burgeon::prelude::*;

use super::product::{Product, ProductId};
use super::search::{self, Cursor, Search, Shelf, Sort};
use super::seed::NewProduct;

pub(super) async fn find(on: &impl On<Reads>, id: ProductId) -> Result<Option<Product>> {
    sql!(
        "catalog_find",
        "select id, name, maker, category, description, material, colour, size, origin, care, shape, price, added_at,
                sold, in_stock, reviews, rating
         from catalog_product where id = $1",
        id
    )
    .optional(on)
    .await
}

pub(super) async fn find_all(on: &impl On<Reads>, ids: &[ProductId]) -> Result<Vec<Product>> {
    sql!(
        "catalog_find_all",
        "select id, name, maker, category, description, material, colour, size, origin, care, shape, price, added_at,
                sold, in_stock, reviews, rating
         from catalog_product where id = any($1)",
        ids
    )
    .all(on)
    .await
}

pub(super) async fn shelf(on: &impl On<Reads>, shelf: Shelf, limit: i64) -> Result<Vec<Product>> {
    match shelf {
        Shelf::BestSellers => {
            sql!(
                "catalog_best_sellers",
                "select id, name, maker, category, description, material, colour, size, origin, care, shape, price,
                        added_at, sold, in_stock, reviews, rating
                 from catalog_product order by sold desc, id limit $1",
                limit
            )
            .all(on)
            .await
        }
        Shelf::New => {
            sql!(
                "catalog_new",
                "select id, name, maker, category, description, material, colour, size, origin, care, shape, price,
                        added_at, sold, in_stock, reviews, rating
                 from catalog_product order by added_at desc, id limit $1",
                limit
            )
            .all(on)
            .await
        }
    }
}

/// What a search comes down to: values that are always there.
pub(super) struct Criteria {
    words: String,
    category: String,
    from: Money,
    to: Money,
    rating: i64,
    in_stock: bool,
    sort: &'static str,
}

impl Criteria {
    pub(super) fn of(engine: Engine, search: &Search) -> Self {
        let q = search.q.as_deref().unwrap_or_default();
        Self {
            words: match engine {
                Engine::Sqlite => search::fts5(q),
                Engine::Postgres => search::tsquery(q),
            },
            category: search.category.map(|category| category.slug().to_owned()).unwrap_or_default(),
            from: search.from.unwrap_or(Money::ZERO),
            to: search.to.unwrap_or(Money::from_raw(i64::MAX)),
            rating: search.stars.unwrap_or(0).clamp(0, 5) * 100,
            in_stock: search.in_stock.unwrap_or(false),
            sort: search.sort.unwrap_or(Sort::Popular).name(),
        }
    }
}

/// A product and the value it was sorted by.
#[derive(Row)]
pub(super) struct Hit {
    pub(super) id: ProductId,
    pub(super) sort_key: i64,
}

/// The page's products behind the cursor, ascending by sort key and number.
///
/// One statement for every combination: a catalogue of thousands is scanned in a millisecond or two, and where words
/// are given the full-text index leaves a few dozen rows of it.
pub(super) async fn search(
    on: &impl On<Reads>,
    criteria: &Criteria,
    after: Cursor,
    limit: i64,
) -> Result<Vec<Hit>> {
    let Criteria { words, category, from, to, rating, in_stock, sort } = criteria;
    sql!(
        "catalog_search",
        sqlite: "select id, sort_key from (
                     select id, case $1 when 'cheap' then price when 'dear' then -price
                                        when 'rated' then -(rating * 100000 + min(reviews, 99999))
                                        when 'new' then -added_at else -sold end as sort_key
                     from catalog_product
                     where ($2 = '' or id in (select rowid from catalog_search where catalog_search match $2))
                       and ($3 = '' or category = $3) and price >= $4 and price <= $5 and rating >= $6
                       and (not $7 or in_stock)
                 ) as hit
                 where (sort_key, id) > ($8, $9) order by sort_key, id limit $10",
        postgres: "select id, sort_key from (
                     select id, case $1 when 'cheap' then price when 'dear' then -price
                                        when 'rated' then -(rating * 100000 + least(reviews, 99999))
                                        when 'new' then -(extract(epoch from added_at) * 1000000)::bigint
                                        else -sold end as sort_key
                     from catalog_product
                     where ($2 = '' or search @@ to_tsquery('simple', nullif($2, '')))
                       and ($3 = '' or category = $3) and price >= $4 and price <= $5 and rating >= $6
                       and (not $7 or in_stock)
                 ) as hit
                 where (sort_key, id) > ($8, $9) order by sort_key, id limit $10",
        *sort, words.as_str(), category.as_str(), *from, *to, *rating, *in_stock, after.key, after.id, limit
    )
    .all(on)
    .await
}

pub(super) async fn count(on: &impl On<Reads>, criteria: &Criteria) -> Result<i64> {
    let Criteria { words, category, from, to, rating, in_stock, .. } = criteria;
    sql!(
        "catalog_count",
        sqlite: "select count(*) from catalog_product
                 where ($1 = '' or id in (select rowid from catalog_search where catalog_search match $1))
                   and ($2 = '' or category = $2) and price >= $3 and price <= $4 and rating >= $5
                   and (not $6 or in_stock)",
        postgres: "select count(*) from catalog_product
                 where ($1 = '' or search @@ to_tsquery('simple', nullif($1, '')))
                   and ($2 = '' or category = $2) and price >= $3 and price <= $4 and rating >= $5
                   and (not $6 or in_stock)",
        words.as_str(), category.as_str(), *from, *to, *rating, *in_stock
    )
    .one(on)
    .await
}

pub(super) async fn insert(tx: &Tx, products: Vec<NewProduct>) -> Result<u64> {
    let columns = [
        "name",
        "maker",
        "category",
        "description",
        "material",
        "colour",
        "size",
        "origin",
        "care",
        "shape",
        "price",
        "added_at",
        "words",
        "sold",
    ];
    let rows = products.into_iter().map(|new| {
        let words =
            search::words(&format!("{} {} {}", new.name, new.category.title(), new.size.unwrap_or_default()));
        (
            new.name,
            new.maker,
            new.category,
            new.description,
            new.material,
            new.colour,
            new.size,
            new.origin,
            new.care,
            new.shape.to_string(),
            new.price,
            new.added_at,
            words,
            new.sold,
        )
    });
    bulk("catalog_insert", "catalog_product", columns).insert(tx, rows).await
}
