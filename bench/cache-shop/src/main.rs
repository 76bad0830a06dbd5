//! What the shop's caches are worth, on a real shop's traffic.
//!
//! The lines of a year of real invoices are played as views of product pages, in the file's own order and so with the file's own
//! popularity; every twentieth invoice is also bought, which changes stock and sales and so invalidates what is cached of its
//! products. The same views at the same moments meet the same binary on the same database twice: `cache.enabled = true` and
//! `false`, each after some seconds of other visits, because a shop is not opened every day. It is an open loop: each view leaves when it is due, whether or not earlier ones were answered, and its latency counts
//! from then.
//!
//! Then a spike: for some seconds ten times as many visitors as before, drawn from a seed.

mod load;
mod shop;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench_report::{Report, Target};
use clap::Parser;

use crate::load::{Outcome, Plan};
use crate::shop::{Shop, Site};
use crate::views::Visit;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The shop with and without its caches, on Postgres.
#[derive(Parser)]
struct Args {
    /// Shorter rounds.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// What the moments of the visits are drawn from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// A shop that is built already, instead of building one.
    #[arg(long)]
    shop: Option<PathBuf>,
}

/// What product pages are made of, and what these caches may take together: 16 MiB each, and 10,000 entries each.
const BY_BYTES: [&str; 2] = ["product", "reviews"];
const BYTES: f64 = (32 << 20) as f64;
const BY_ENTRIES: [&str; 4] = ["stock", "companions", "looked at", "shelf"];
const ENTRIES: f64 = 40_000.0;

/// Statements that are rarer than this, for each view, are counted and not named.
const RARE: f64 = 0.000_5;

/// What one variant came to.
struct Measured {
    calm: Outcome,
    spike: Outcome,
    /// In calm times, by the statement's name.
    queries: BTreeMap<String, f64>,
    bytes: f64,
    entries: f64,
    resident: f64,
}

impl Measured {
    /// Queries of this name for each view and order in calm times.
    fn per_view(&self, statement: &str) -> f64 {
        self.queries.get(statement).unwrap_or(&0.0) / self.calm.asked().max(1) as f64
    }

    /// The same of all of them.
    fn all_per_view(&self) -> f64 {
        self.queries.values().sum::<f64>() / self.calm.asked().max(1) as f64
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench cache-shop: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<usize, Failure> {
    let Some(export) = bench_report::shop::export("cache-shop") else { return Ok(0) };
    let server = burgeon_services::Postgres::options().fsync(true).start().await?;
    let room = tempfile::tempdir()?;
    let site = Site {
        binary: match &args.shop {
            Some(binary) => binary.canonicalize()?,
            None => bench_report::shop::build(bench_report::shop::Profile::Release)?,
        },
        directory: room.path().to_owned(),
        database_url: server.create_database().await?,
    };
    let (warm, calm, spike) = if args.quick { (4, 6, 3) } else { (15, 40, 10) };
    let visits = views::read(&export, 400_000)?;
    // The first half is measured; the second makes the shop one that has been open for a while.
    let (visits, before) = visits.split_at(visits.len() / 2);

    // Once to fill the database, and to find out what the shop bears without caches.
    let shop = Shop::start(&site, false).await?;
    let products = shop.products().await?;
    let bears = load::closed(shop.port(), before, &products, Duration::from_secs(3)).await;
    shop.stop().await?;
    // Half of that in calm times; the spike is ten times as many.
    let rate = bears * 0.5;
    let [warm, calm, spike] = [warm, calm, spike].map(Duration::from_secs);
    let plan = Plan { seed: args.seed, rate, warm, calm, spike, factor: 10.0 };

    let mut report = Report::new("cache-shop", args.json);
    report.value("page views a second, calm", "half of what it bears without caches", rate, "1/s");
    let without = measure(&site, (before, visits), &products, &plan, false).await?;
    let with = measure(&site, (before, visits), &products, &plan, true).await?;

    let (ours, theirs) = (with.all_per_view(), without.all_per_view());
    report.value("database queries per view", "without caches", theirs, "queries");
    let target = Some(Target::AtMost(0.15));
    report.ratio("database queries per view", ours, "queries", "without caches", theirs, target);
    // Where they come from.
    let statements: BTreeSet<&String> = without.queries.keys().chain(with.queries.keys()).collect();
    for statement in statements {
        let (ours, theirs) = (with.per_view(statement), without.per_view(statement));
        if ours.max(theirs) >= RARE {
            report.ratio(&format!("of these {statement}"), ours, "queries", "without caches", theirs, None);
        }
    }
    let (ours, theirs) = (with.calm.quantile(0.50), without.calm.quantile(0.50));
    report.ratio("product page, p50", ours, "ms", "without caches", theirs, None);
    let (ours, theirs) = (with.calm.quantile(0.95), without.calm.quantile(0.95));
    report.ratio("product page, p95", ours, "ms", "without caches", theirs, Some(Target::AtMost(0.25)));
    report.against(
        "failed in calm times, with caches",
        with.calm.failed as f64,
        "views",
        Target::AtMost(0.0),
    );
    report.value("spike of ten times: failed", "without caches", without.spike.failed as f64, "views");
    report.against("spike of ten times: failed", with.spike.failed as f64, "views", Target::AtMost(0.0));
    report.value("spike of ten times: asked", "with caches", with.spike.asked() as f64, "views");
    let (ours, theirs) = (with.spike.quantile(0.95), without.spike.quantile(0.95));
    report.ratio("spike of ten times: p95", ours, "ms", "without caches", theirs, None);
    report.against("cached bytes, of what is configured", with.bytes / BYTES, "part", Target::AtMost(1.0));
    report.against(
        "cached entries, of what is configured",
        with.entries / ENTRIES,
        "part",
        Target::AtMost(1.0),
    );
    report.ratio("resident memory", with.resident, "MiB", "without caches", without.resident, None);
    for (variant, measured) in [("without caches", &without), ("with caches", &with)] {
        for why in measured.calm.why.iter().chain(&measured.spike.why) {
            eprintln!("{variant}: {why}");
        }
    }
    Ok(report.finish())
}

/// One variant: a start, some seconds of whatever it bears, a calm time, the spike, an end.
async fn measure(
    site: &Site,
    (before, visits): (&[Visit], &[Visit]),
    products: &[i64],
    plan: &Plan,
    cached: bool,
) -> Result<Measured, Failure> {
    let shop = Shop::start(site, cached).await?;
    load::closed(shop.port(), before, products, plan.warm).await;
    let began = shop.meters().await?;
    let calm = load::open(shop.port(), visits, products, plan, plan.rate, plan.calm).await;
    let after = shop.meters().await?;
    let spike = load::open(shop.port(), visits, products, plan, plan.rate * plan.factor, plan.spike).await;
    let end = shop.meters().await?;
    let resident = shop.resident_mib()?;
    shop.stop().await?;
    Ok(Measured {
        queries: after.queries_since(&began),
        bytes: end.bytes,
        entries: end.entries,
        resident,
        calm,
        spike,
    })
}
