//! Every statement on `sales_*`.

use std::collections::HashSet;

use burgeon::db::{On, Reads, bulk};
use burgeon::prelude::*;

use super::line::Line;

/// What has been written to the small tables in this run, so that it is not sent again with every line.
#[derive(Default)]
pub(super) struct Known {
    customers: HashSet<i64>,
    products: HashSet<String>,
    invoices: HashSet<String>,
}

/// Writes a batch; how many of its lines were new. What is there already stays as it is.
pub(super) async fn insert(tx: &Tx, known: &mut Known, batch: &[(u64, Line)]) -> Result<u64> {
    let customers: Vec<i64> = batch
        .iter()
        .filter_map(|(_, line)| line.customer)
        .filter(|customer| known.customers.insert(*customer))
        .collect();
    bulk("sales_insert_customers", "sales_customer", ["number"])
        .on_conflict_do_nothing(["number"])
        .insert(tx, customers.into_iter().map(|number| (number,)))
        .await?;

    let mut products = Vec::new();
    let mut invoices = Vec::new();
    for (_, line) in batch {
        if !known.products.contains(&line.product) {
            known.products.insert(line.product.clone());
            products.push((line.product.as_str(), line.description.as_deref()));
        }
        if !known.invoices.contains(&line.invoice) {
            known.invoices.insert(line.invoice.clone());
            invoices.push((
                line.invoice.as_str(),
                line.customer,
                line.country.as_str(),
                line.is_cancellation(),
            ));
        }
    }
    bulk("sales_insert_products", "sales_product", ["code", "description"])
        .on_conflict_do_nothing(["code"])
        .insert(tx, products)
        .await?;
    bulk("sales_insert_invoices", "sales_invoice", ["number", "customer", "country", "cancellation"])
        .on_conflict_do_nothing(["number"])
        .insert(tx, invoices)
        .await?;

    let columns = ["invoice", "position", "product", "description", "quantity", "price", "sold_at", "period"];
    let row = |(position, line): &(u64, Line)| {
        (
            line.invoice.clone(),
            *position as i64,
            line.product.clone(),
            line.description.clone(),
            line.quantity,
            line.unit_price,
            line.sold_at,
            line.period(),
        )
    };
    let lines: Vec<_> = batch.iter().map(row).collect();
    bulk("sales_insert_lines", "sales_line", columns)
        .on_conflict_do_nothing(["invoice", "position"])
        .insert(tx, lines)
        .await
}

/// The sums of one month.
#[derive(Debug, Row)]
pub(super) struct Sums {
    pub(super) period: String,
    pub(super) orders: i64,
    pub(super) cancellations: i64,
    pub(super) units: i64,
    /// In ten-thousandths, exact.
    pub(super) revenue: i64,
}

pub(super) async fn monthly(on: &impl On<Reads>) -> Result<Vec<Sums>> {
    sql!(
        "sales_monthly",
        "select period,
                count(distinct case when cancellation then null else invoice end) as orders,
                count(distinct case when cancellation then invoice end) as cancellations,
                cast(sum(quantity) as bigint) as units,
                cast(sum(quantity * price) as bigint) as revenue
         from sales_line join sales_invoice on sales_invoice.number = sales_line.invoice
         group by period order by period"
    )
    .all(on)
    .await
}
