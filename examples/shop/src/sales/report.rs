//! `shop report --monthly`: what the imported invoices sum up to.
//!
//! Revenue is summed exactly, in ten-thousandths, and rounded once per month: half up, to the penny. Months are the
//! shop's own, in Europe/London. An invoice whose number begins with C is a cancellation, every other one an order;
//! units and revenue are net of both.

use burgeon::clap;
use burgeon::prelude::*;
use serde::Serialize;

use super::repository::{self, Sums};

/// Arguments of `shop report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// By month; there is no other way yet.
    #[arg(long, required = true)]
    monthly: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One month.
#[derive(Debug, Serialize)]
struct Month {
    month: String,
    orders: i64,
    cancellations: i64,
    units: i64,
    revenue: Money,
}

impl From<Sums> for Month {
    fn from(sums: Sums) -> Self {
        Self {
            month: sums.period,
            orders: sums.orders,
            cancellations: sums.cancellations,
            units: sums.units,
            revenue: Money::from_raw(sums.revenue).round_half_up(),
        }
    }
}

pub(super) async fn run(args: Args, ctx: Ctx, db: Db) -> Result<()> {
    let Args { monthly: _, json } = args;
    let months: Vec<Month> =
        repository::monthly(&db.read(&ctx)).await?.into_iter().map(Month::from).collect();
    if json {
        println!("{}", serde_json::to_string(&months).map_err(Error::internal)?);
        return Ok(());
    }
    if months.is_empty() {
        println!("There are no invoices yet. Take some over: shop import FILE");
        return Ok(());
    }
    println!("{:<8} {:>8} {:>14} {:>10} {:>15}", "month", "orders", "cancellations", "units", "revenue in £");
    for Month { month, orders, cancellations, units, revenue } in &months {
        println!("{month:<8} {orders:>8} {cancellations:>14} {units:>10} {revenue:>15}");
    }
    Ok(())
}
