//! The macro that makes a statement.

/// A statement with its parameters: a [`Query`](crate::Query) that knows its name and its line.
///
/// Parameters are written `$1`, `$2`, ... in any order and as often as needed; how many there are is checked when the
/// program is compiled. A statement that begins with `select`, `values` or `with .. select`, and takes no locks, is a
/// `Query<Reads>`, everything else a `Query<Writes>`.
///
/// ```
/// # use burgeon_core::{Ctx, Money, Result};
/// # use burgeon_db::{Db, sql};
/// # async fn examples(db: &Db, ctx: &Ctx, id: i64, ids: Vec<i64>, price: Money, term: &str) -> Result<()> {
/// // One text for both engines.
/// let name: Option<String> =
///     sql!("find_name", "select name from product where id = $1", id).optional(&db.read(ctx)).await?;
///
/// // A list: `= any($n)`, on both.
/// let names: Vec<String> =
///     sql!("find_names", "select name from product where id = any($1)", ids).all(&db.read(ctx)).await?;
///
/// // One text each, where the engines differ.
/// let found: Vec<i64> = sql!(
///     "search",
///     sqlite: "select id from product where name like '%' || $1 || '%'",
///     postgres: "select id from product where name ilike '%' || $1 || '%'",
///     term
/// )
/// .all(&db.read(ctx))
/// .await?;
///
/// let touched: u64 =
///     sql!("reprice", "update product set price = $2 where id = $1", id, price).execute(&db.write(ctx)).await?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! sql {
    ($($input:tt)*) => {
        $crate::private::sql_statement!($crate; $($input)*)
    };
}
