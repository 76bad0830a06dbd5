//! rusqlite as everyone uses it for this: one prepared insert per table, a transaction per 20,000 lines.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::Failure;
use crate::rows::Rows;

const TABLES: &str = include_str!("../../../examples/shop/migrations/sales/0001_ledger.sqlite.sql");

/// Lines per transaction, as in the shop.
const BATCH: usize = 20_000;

pub fn insert(directory: &Path, rows: &Rows) -> Result<Duration, Failure> {
    let mut connection = Connection::open(directory.join("raw.db"))?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma mmap_size = 134217728;",
    )?;
    connection.execute_batch(TABLES)?;
    let started = Instant::now();
    let tx = connection.transaction()?;
    {
        let mut customer = tx.prepare("insert into sales_customer (number) values (?1)")?;
        for number in &rows.customers {
            customer.execute([number])?;
        }
        let mut product = tx.prepare("insert into sales_product (code, description) values (?1, ?2)")?;
        for (code, description) in &rows.products {
            product.execute(params![code, description])?;
        }
        let mut invoice = tx.prepare(
            "insert into sales_invoice (number, customer, country, cancellation) values (?1, ?2, ?3, ?4)",
        )?;
        for row in &rows.invoices {
            invoice.execute(params![row.number, row.customer, row.country, row.cancellation])?;
        }
    }
    tx.commit()?;
    for batch in rows.lines.chunks(BATCH) {
        let tx = connection.transaction()?;
        {
            let mut line = tx.prepare_cached(
                "insert into sales_line (invoice, position, product, description, quantity, price, sold_at, period)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for row in batch {
                line.execute(params![
                    row.invoice,
                    row.position,
                    row.product,
                    row.description,
                    row.quantity,
                    row.price,
                    row.sold_at,
                    row.period
                ])?;
            }
        }
        tx.commit()?;
    }
    Ok(started.elapsed())
}
