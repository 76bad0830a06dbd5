//! A year of invoices into an empty database: the shop's own import beside raw bulk inserts of the same rows.
//!
//! The shop unzips, reads and checks the file, and can be run twice; the raw peers are given rows that are ready in memory and only
//! insert them, into tables of the same shape, keys and foreign keys. So the ratio is what all of that costs together.

mod peer_postgres;
mod peer_sqlite;
mod rows;
mod shop;

use std::process::ExitCode;

use bench_report::{Report, Target, median};
use clap::Parser;

use crate::rows::Rows;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `shop import` on SQLite and Postgres, beside raw bulk inserts of the same rows.
#[derive(Parser)]
struct Args {
    /// The first 60,000 lines, once.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
}

/// Lines of `--quick`.
const SLICE: usize = 60_000;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench import: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<usize, Failure> {
    let Some(export) = bench_report::shop::export("import") else { return Ok(0) };
    let room = tempfile::tempdir()?;
    let export = if args.quick { rows::slice(&export, SLICE, room.path())? } else { export };
    let rounds = if args.quick { 1 } else { 3 };
    let shop = bench_report::shop::build(bench_report::shop::Profile::Release)?;
    let mut report = Report::new("import", args.json);

    let mut rows = None;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = tempfile::tempdir()?;
        ours.push(shop::import(&shop, directory.path(), "sqlite:shop.db", &export)?);
        let rows = match &mut rows {
            Some(rows) => rows,
            // The peers are given what the shop made of the file.
            none => none.insert(Rows::read(&directory.path().join("shop.db"))?),
        };
        let took = peer_sqlite::insert(directory.path(), rows)?;
        theirs.push(rows.lines.len() as f64 / took.as_secs_f64());
    }
    let (ours, raw) = (median(&mut ours), median(&mut theirs));
    report.against("sqlite FULL", ours, "lines/s", Target::AtLeast(60_000.0));
    report.ratio("sqlite FULL", ours, "lines/s", "rusqlite, prepared insert", raw, None);

    let rows = rows.ok_or("no round was run")?;
    let server = burgeon_services::Postgres::options().fsync(true).start().await?;
    let (mut ours, mut unnest, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = tempfile::tempdir()?;
        ours.push(shop::import(&shop, directory.path(), &server.create_database().await?, &export)?);
        let took = peer_postgres::unnest(&server.create_database().await?, &rows).await?;
        unnest.push(rows.lines.len() as f64 / took.as_secs_f64());
        let took = peer_postgres::copy(&server.create_database().await?, &rows).await?;
        copy.push(rows.lines.len() as f64 / took.as_secs_f64());
    }
    let (ours, unnest, copy) = (median(&mut ours), median(&mut unnest), median(&mut copy));
    let half = Some(Target::AtLeast(0.5));
    // The faster of the two is the peer that counts.
    let judged = |its: f64| if its >= unnest.max(copy) { half } else { None };
    report.ratio("postgres", ours, "lines/s", "tokio-postgres, unnest", unnest, judged(unnest));
    report.ratio("postgres", ours, "lines/s", "tokio-postgres, binary COPY", copy, judged(copy));
    Ok(report.finish())
}
