//! The rows of a year, as the shop wrote them, ready in memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use rusqlite::{Connection, OpenFlags};

use crate::Failure;

pub struct Rows {
    pub customers: Vec<i64>,
    pub products: Vec<(String, Option<String>)>,
    pub invoices: Vec<Invoice>,
    pub lines: Vec<Line>,
}

pub struct Invoice {
    pub number: String,
    pub customer: Option<i64>,
    pub country: String,
    pub cancellation: bool,
}

pub struct Line {
    pub invoice: String,
    pub position: i64,
    pub product: String,
    pub description: Option<String>,
    pub quantity: i64,
    pub price: i64,
    /// Microseconds since 1970.
    pub sold_at: i64,
    pub period: String,
}

impl Rows {
    /// Everything the shop imported into this file, each table in the order of the export.
    pub fn read(database: &Path) -> Result<Self, Failure> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let customers = connection
            .prepare("select number from sales_customer")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let products = connection
            .prepare("select code, description from sales_product")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let invoices = connection
            .prepare("select number, customer, country, cancellation from sales_invoice")?
            .query_map([], |row| {
                Ok(Invoice {
                    number: row.get(0)?,
                    customer: row.get(1)?,
                    country: row.get(2)?,
                    cancellation: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let lines = connection
            .prepare(
                "select invoice, position, product, description, quantity, price, sold_at, period
                 from sales_line order by position",
            )?
            .query_map([], |row| {
                Ok(Line {
                    invoice: row.get(0)?,
                    position: row.get(1)?,
                    product: row.get(2)?,
                    description: row.get(3)?,
                    quantity: row.get(4)?,
                    price: row.get(5)?,
                    sold_at: row.get(6)?,
                    period: row.get(7)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(Self { customers, products, invoices, lines })
    }
}

/// The header and the first `lines` of the export, plain.
pub fn slice(export: &Path, lines: usize, room: &Path) -> Result<PathBuf, Failure> {
    let path = room.join("slice.csv");
    let mut out = BufWriter::new(File::create(&path)?);
    for line in BufReader::new(GzDecoder::new(File::open(export)?)).split(b'\n').take(lines + 1) {
        out.write_all(&line?)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(path)
}
