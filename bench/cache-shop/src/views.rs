//! Real invoices as visits: each line is a look at a product's page, and every twentieth invoice is bought as well.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::Failure;

/// One request of a visitor. Products are numbers in the order in which the file first names them.
#[derive(Debug, Clone)]
pub enum Visit {
    /// Looks at a product's page.
    Page(usize),
    /// Buys one of each of these.
    Order(Vec<usize>),
}

/// One in so many invoices is bought.
const BOUGHT: usize = 20;
/// The shop takes no more in one order.
const MOST_LINES: usize = 30;

/// The first visits of the export, at most so many.
pub fn read(export: &Path, most: usize) -> Result<Vec<Visit>, Failure> {
    let file = BufReader::new(MultiGzDecoder::new(std::fs::File::open(export)?));
    let mut codes: HashMap<String, usize> = HashMap::new();
    let mut visits = Vec::new();
    let (mut invoice, mut invoices, mut basket) = (String::new(), 0_usize, Vec::new());
    for line in file.split(b'\n').skip(1) {
        let line = String::from_utf8_lossy(&line?).into_owned();
        // Neither of the first two columns is ever quoted.
        let mut columns = line.splitn(3, ',');
        let (Some(number), Some(code)) = (columns.next(), columns.next()) else { continue };
        if number.starts_with('C') {
            // A cancellation is no visit.
            continue;
        }
        if number != invoice {
            invoice = number.to_owned();
            invoices += 1;
            let bought = std::mem::take(&mut basket);
            if invoices.is_multiple_of(BOUGHT) && !bought.is_empty() {
                visits.push(Visit::Order(bought));
            }
        }
        let next = codes.len();
        let product = *codes.entry(code.to_owned()).or_insert(next);
        if basket.len() < MOST_LINES && !basket.contains(&product) {
            basket.push(product);
        }
        visits.push(Visit::Page(product));
        if visits.len() >= most {
            break;
        }
    }
    if visits.is_empty() {
        return Err("the export has no invoices".into());
    }
    Ok(visits)
}
