//! tokio-postgres twice: arrays unnested by an insert, and binary COPY straight into the tables.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Transaction};

use crate::Failure;
use crate::rows::{Line, Rows};

const TABLES: &str = include_str!("../../../examples/shop/migrations/sales/0001_ledger.postgres.sql");

/// Lines per transaction, as in the shop.
const BATCH: usize = 20_000;
/// Rows per statement of the unnest.
const CHUNK: usize = 2_000;

/// Everything by `insert .. select * from unnest(..)`.
pub async fn unnest(url: &str, rows: &Rows) -> Result<Duration, Failure> {
    let mut client = connect(url).await?;
    let started = Instant::now();
    parents(&mut client, rows).await?;
    let insert = client
        .prepare(
            "insert into sales_line (invoice, position, product, description, quantity, price, sold_at, period)
             select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                                  $7::timestamptz[], $8::text[])",
        )
        .await?;
    for batch in rows.lines.chunks(BATCH) {
        let tx = client.transaction().await?;
        for chunk in batch.chunks(CHUNK) {
            let invoices: Vec<_> = chunk.iter().map(|row| row.invoice.as_str()).collect();
            let positions: Vec<_> = chunk.iter().map(|row| row.position).collect();
            let products: Vec<_> = chunk.iter().map(|row| row.product.as_str()).collect();
            let descriptions: Vec<_> = chunk.iter().map(|row| row.description.as_deref()).collect();
            let quantities: Vec<_> = chunk.iter().map(|row| row.quantity).collect();
            let prices: Vec<_> = chunk.iter().map(|row| row.price).collect();
            let times: Vec<_> = chunk.iter().map(sold_at).collect();
            let periods: Vec<_> = chunk.iter().map(|row| row.period.as_str()).collect();
            let values: [&(dyn ToSql + Sync); 8] =
                [&invoices, &positions, &products, &descriptions, &quantities, &prices, &times, &periods];
            tx.execute(&insert, &values).await?;
        }
        tx.commit().await?;
    }
    Ok(started.elapsed())
}

/// The lines by binary COPY.
pub async fn copy(url: &str, rows: &Rows) -> Result<Duration, Failure> {
    let mut client = connect(url).await?;
    let started = Instant::now();
    parents(&mut client, rows).await?;
    for batch in rows.lines.chunks(BATCH) {
        let tx = client.transaction().await?;
        copy_lines(&tx, batch).await?;
        tx.commit().await?;
    }
    Ok(started.elapsed())
}

async fn copy_lines(tx: &Transaction<'_>, lines: &[Line]) -> Result<(), Failure> {
    let sink = tx
        .copy_in(
            "copy sales_line (invoice, position, product, description, quantity, price, sold_at, period)
             from stdin binary",
        )
        .await?;
    let types = [
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::TIMESTAMPTZ,
        Type::TEXT,
    ];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in lines {
        let sold_at = sold_at(row);
        let values: [&(dyn ToSql + Sync); 8] = [
            &row.invoice,
            &row.position,
            &row.product,
            &row.description,
            &row.quantity,
            &row.price,
            &sold_at,
            &row.period,
        ];
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await?;
    Ok(())
}

/// What lines refer to: few rows, so both peers send them in one way.
async fn parents(client: &mut Client, rows: &Rows) -> Result<(), Failure> {
    let tx = client.transaction().await?;
    tx.execute("insert into sales_customer (number) select * from unnest($1::bigint[])", &[&rows.customers])
        .await?;
    let codes: Vec<_> = rows.products.iter().map(|(code, _)| code.as_str()).collect();
    let descriptions: Vec<_> = rows.products.iter().map(|(_, description)| description.as_deref()).collect();
    tx.execute(
        "insert into sales_product (code, description) select * from unnest($1::text[], $2::text[])",
        &[&codes, &descriptions],
    )
    .await?;
    let numbers: Vec<_> = rows.invoices.iter().map(|row| row.number.as_str()).collect();
    let customers: Vec<_> = rows.invoices.iter().map(|row| row.customer).collect();
    let countries: Vec<_> = rows.invoices.iter().map(|row| row.country.as_str()).collect();
    let cancellations: Vec<_> = rows.invoices.iter().map(|row| row.cancellation).collect();
    tx.execute(
        "insert into sales_invoice (number, customer, country, cancellation)
         select * from unnest($1::text[], $2::bigint[], $3::text[], $4::boolean[])",
        &[&numbers, &customers, &countries, &cancellations],
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("raw connection: {error}");
        }
    });
    client.batch_execute(TABLES).await?;
    Ok(client)
}

fn sold_at(row: &Line) -> SystemTime {
    let distance = Duration::from_micros(row.sold_at.unsigned_abs());
    if row.sold_at < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
