//! `shop replay FILE`: a year of a real shop's invoices, played against a running shop at a chosen speed.
//!
//! What this is: an open loop. Each order leaves when the file says, whether or not earlier ones were answered, and its
//! latency counts from then; so a shop that falls behind is seen to. What it is not: an import. The old till's stock
//! codes mean nothing to the shop, so each is given a product of it, the same one every time, popular for popular.
//!
//! # Invariants
//! - No more than `--concurrency` requests are open at once; what is due beyond waits, and the wait is counted.

mod client;
mod orders;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use burgeon::clap;
use burgeon::prelude::*;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, interval, sleep_until};

use super::file::Export;
use client::Client;
use orders::{Due, Orders};
use tally::Tally;

/// Arguments of `shop replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The export, plain or gzipped.
    file: PathBuf,
    /// How many seconds of the file pass in one second; 0 waits for nothing.
    #[arg(long, default_value_t = 3600.0)]
    speed: f64,
    /// The running shop.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// Stop after so many invoices.
    #[arg(long)]
    limit: Option<u64>,
    /// Requests open at once.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, _ctx: Ctx) -> Result<()> {
    if !(args.speed >= 0.0 && args.speed.is_finite()) || args.concurrency == 0 {
        return Err(Error::invalid("--speed must be 0 or more, and --concurrency 1 or more."));
    }
    let client = Client::new(&args.url)?;
    let products = client.products().await?;
    let mut orders = Orders::new(Export::open(&args.file)?, products);
    let mut tally = Tally::new();

    let started = Instant::now();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut next = orders.next()?;
    let mut open = FuturesUnordered::new();
    let mut tell = interval(Duration::from_secs(1));
    while (next.is_some() && left > 0) || !open.is_empty() {
        let due = next.as_ref().filter(|_| left > 0).map(|due| started + wait(due, args.speed));
        // Cancel-safe: every branch only waits; what it found is handled in its body.
        tokio::select! {
            Some(answer) = open.next() => tally.count(answer),
            () = sleep_until(due.unwrap_or(started)), if due.is_some() && open.len() < args.concurrency => {
                if let Some(due) = next.take() {
                    let since = started + wait(&due, args.speed);
                    // Without a speed nothing is ever late.
                    let since = if args.speed == 0.0 { Instant::now() } else { since };
                    open.push(client.place(due.placing, since));
                    left -= 1;
                    next = orders.next()?;
                }
            }
            _ = tell.tick() => if !args.json { tally.tell(started.elapsed(), open.len()) },
        }
    }
    tally.finish(started.elapsed(), args.json)
}

/// How long after the first invoice this one is due.
fn wait(due: &Due, speed: f64) -> Duration {
    if speed == 0.0 { Duration::ZERO } else { due.after.div_f64(speed) }
}
