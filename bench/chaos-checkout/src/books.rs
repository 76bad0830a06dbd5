//! The database read behind the shop's back: what is really there.

use std::collections::BTreeMap;

use tokio_postgres::NoTls;

use crate::Failure;

/// Everything the shop's promises are about.
#[derive(Debug, Default)]
pub struct Books {
    /// Product to what is left of it.
    pub stock: BTreeMap<i64, i64>,
    /// Order's token to its lines, by product and quantity. An order without lines has an empty list.
    pub orders: BTreeMap<String, Vec<(i64, i64)>>,
    /// Orders in the table; more than `orders` when a token was taken twice.
    pub order_rows: usize,
}

const STOCK: &str = "select product, available from inventory_stock";
const ORDERS: &str = "select o.token, l.product, l.quantity from orders_order o left join orders_line l on l.order_id = o.id order by o.id, l.position";
const COUNT: &str = "select count(*) from orders_order";

pub async fn read(database_url: &str) -> Result<Books, Failure> {
    match database_url.strip_prefix("sqlite://") {
        Some(path) => read_sqlite(path),
        None => read_postgres(database_url).await,
    }
}

fn read_sqlite(path: &str) -> Result<Books, Failure> {
    let file = rusqlite::Connection::open(path)?;
    let verdict: String = file.query_row("pragma integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(format!("integrity_check says: {verdict}").into());
    }
    let mut books = Books::default();
    let mut stock = file.prepare(STOCK)?;
    for row in stock.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (product, available) = row?;
        books.stock.insert(product, available);
    }
    let mut orders = file.prepare(ORDERS)?;
    let rows = orders.query_map([], |row| Ok((token(row.get_ref(0)?), row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (token, product, quantity): (String, Option<i64>, Option<i64>) = row?;
        books.line(token, product.zip(quantity));
    }
    books.order_rows = file.query_row(COUNT, [], |row| row.get::<_, i64>(0))? as usize;
    Ok(books)
}

/// A UUID is sixteen bytes in SQLite.
fn token(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("");
            format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
        }
        other => other.as_str().unwrap_or("").to_owned(),
    }
}

async fn read_postgres(url: &str) -> Result<Books, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    // One snapshot: the server may still be ending what the killed shop had sent it.
    client.batch_execute("begin isolation level repeatable read, read only").await?;
    let mut books = Books::default();
    for row in client.query(STOCK, &[]).await? {
        books.stock.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let orders = ORDERS.replace("o.token", "o.token::text");
    for row in client.query(&orders, &[]).await? {
        let (product, quantity): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
        books.line(row.try_get(0)?, product.zip(quantity));
    }
    let count: i64 = client.query_one(COUNT, &[]).await?.try_get(0)?;
    books.order_rows = count as usize;
    drop(client);
    driver.await??;
    Ok(books)
}

impl Books {
    fn line(&mut self, token: String, line: Option<(i64, i64)>) {
        self.orders.entry(token).or_default().extend(line);
    }
}
