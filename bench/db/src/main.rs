//! The database client beside its peers: same server, same run, same rows, rounds interleaved.
//!
//! The result is the ratio; CPU per operation (of this process: client, and on SQLite the engine too) stands beside the wall time,
//! because machines are noisy.

mod case;
mod deadpool;
mod measure;
mod ours;
mod raw_postgres;
mod raw_sqlite;
mod sqlx_peer;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bench_report::{Report, Target, median};
use burgeon_db::Db;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use clap::Parser;

use crate::case::{Case, Failure, PRODUCTS, Peer};
use crate::deadpool::Deadpool;
use crate::measure::{Round, Serials, round};
use crate::ours::Ours;
use crate::raw_postgres::{Pipelined, RawPostgres};
use crate::raw_sqlite::RawSqlite;
use crate::sqlx_peer::{SqlxPostgres, SqlxSqlite};

/// Point reads, page of 20 reads, inserts and bulk inserts on both engines, beside raw drivers, sqlx and deadpool.
#[derive(Parser)]
struct Args {
    /// Shorter rounds: ends within 45 s.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Requests in flight; may be given several times. Without it 64, and on Postgres 256 too.
    #[arg(long)]
    tasks: Vec<usize>,
    /// Postgres waits for the disk at every commit. Without it a commit costs what it costs in memory.
    #[arg(long)]
    fsync: bool,
    /// Shared connections, ours and the raw driver's; 0 is Burgeon's default.
    #[arg(long, default_value_t = 0)]
    shared: usize,
    /// Statements that may be under way on each of ours; 0 is Burgeon's default.
    #[arg(long, default_value_t = 0)]
    places: usize,
    /// Only this engine: sqlite or postgres.
    #[arg(long)]
    engine: Option<String>,
    /// Only the cases whose name contains this: "bulk", "point".
    #[arg(long)]
    case: Option<String>,
}

#[derive(Clone)]
struct Plan {
    tasks: usize,
    time: Duration,
    rounds: usize,
    cases: Vec<Case>,
    /// Whether SQLite's mixed case is wanted.
    mixed: bool,
}

/// Of every pool that lends them. On two cores 16 serve the peers better than 8.
const CONNECTIONS: usize = 16;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench db: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<usize, Failure> {
    let mut report = Report::new("db", args.json);
    let wanted = |case: &Case| args.case.as_deref().is_none_or(|part| case.name().contains(part));
    let cases = Case::ALL.into_iter().filter(wanted).collect();
    let (time, rounds) =
        if args.quick { (Duration::from_millis(250), 2) } else { (Duration::from_secs(2), 5) };
    let tasks = args.tasks.first().copied().unwrap_or(64);
    let plan = Plan { tasks, time, rounds, cases, mixed: wanted(&Case::Mixed) };
    let wanted = |engine: &str| args.engine.as_deref().is_none_or(|only| only == engine);
    if wanted("sqlite") {
        sqlite(&plan, &mut report, true).await?;
        sqlite(&plan, &mut report, false).await?;
    }
    if wanted("postgres") {
        postgres(&plan, args, &mut report).await?;
    }
    Ok(report.finish())
}

async fn sqlite(plan: &Plan, report: &mut Report, full: bool) -> Result<(), Failure> {
    let room = tempfile::tempdir()?;
    let path = room.path().join("bench.db");
    fill_sqlite(&path)?;
    let synchronous = if full { "full" } else { "normal" };
    let cores = std::thread::available_parallelism()?.get();
    let raw = RawSqlite::open(&path, synchronous, cores)?;
    let sqlx = SqlxSqlite::open(&path, full, CONNECTIONS as u32).await?;
    let mut config = burgeon_db::Config::at(format!("sqlite://{}", path.display()));
    config.sqlite.synchronous =
        if full { burgeon_db::Synchronous::Full } else { burgeon_db::Synchronous::Normal };
    let meters = Meters::new();
    let ours = Ours(Db::open(&config, &Tasks::new(&meters), &meters).await?);
    let serials = Serials::default();
    for case in plan.cases.iter().copied().chain(plan.mixed.then_some(Case::Mixed)) {
        let reading = matches!(case, Case::PointRead | Case::TwentyReads);
        if reading && !full {
            continue; // The setting is about commits; reads were measured once.
        }
        let mut rounds: [Vec<Round>; 3] = Default::default();
        for _ in 0..plan.rounds {
            rounds[0].push(measured(&ours, case, plan, &serials).await?);
            rounds[1].push(measured(&raw, case, plan, &serials).await?);
            rounds[2].push(measured(&sqlx, case, plan, &serials).await?);
        }
        let setting = if reading { String::new() } else { format!(" {}", synchronous.to_uppercase()) };
        let name = format!("sqlite{setting}, {}", case.name());
        let sqlx_target = match case {
            Case::PointRead | Case::TwentyReads => Some(Target::AtLeast(3.0)),
            Case::Insert => Some(Target::AtLeast(10.0)),
            Case::Mixed => Some(Target::AtLeast(4.0)),
            Case::Update | Case::Bulk => None,
        };
        let peers = [("raw rusqlite", Some(Target::AtLeast(1.0 / 1.1))), ("sqlx", sqlx_target)];
        print(report, &name, &rounds, &peers);
    }
    ours.0.close().await;
    Ok(())
}

async fn postgres(plan: &Plan, args: &Args, report: &mut Report) -> Result<(), Failure> {
    let server = burgeon_services::Postgres::options().fsync(args.fsync).start().await?;
    let url = server.create_database().await?;
    fill_postgres(&url).await?;
    let cores = std::thread::available_parallelism()?.get();
    let shared = if args.shared == 0 { cores.clamp(2, 8) } else { args.shared };
    let pipelined = Pipelined::open(&url, shared).await?;
    let raw = RawPostgres::open(&url, CONNECTIONS).await?;
    let sqlx = SqlxPostgres::open(&url, CONNECTIONS as u32).await?;
    let deadpool = Deadpool::open(&url, CONNECTIONS)?;
    let mut config = burgeon_db::Config::at(url.clone());
    config.postgres.shared_connections = args.shared;
    if args.places > 0 {
        config.postgres.in_flight = args.places;
    }
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let ours = Ours(Db::open(&config, &tasks, &meters).await?);
    let serials = Serials::default();
    let in_flight = if args.tasks.is_empty() { vec![64, 256] } else { args.tasks.clone() };
    for case in plan.cases.iter().copied() {
        for tasks in in_flight.iter().copied() {
            if case == Case::Bulk && tasks != in_flight[0] {
                continue; // 500 rows keep a connection busy by themselves.
            }
            let plan = &Plan { tasks, ..plan.clone() };
            let mut rounds: [Vec<Round>; 5] = Default::default();
            for _ in 0..plan.rounds {
                rounds[0].push(measured(&ours, case, plan, &serials).await?);
                rounds[1].push(measured(&pipelined, case, plan, &serials).await?);
                rounds[2].push(measured(&sqlx, case, plan, &serials).await?);
                rounds[3].push(measured(&deadpool, case, plan, &serials).await?);
                rounds[4].push(measured(&raw, case, plan, &serials).await?);
            }
            let at_least = |ratio| (case != Case::Bulk).then_some(Target::AtLeast(ratio));
            let peers = [
                ("raw, pipelined", at_least(1.0 / 1.1)),
                ("sqlx", at_least(2.5)),
                ("deadpool", at_least(1.4)),
                ("raw, lent", None),
            ];
            let disk = if args.fsync { ", fsync" } else { "" };
            print(report, &format!("postgres{disk}, {}, {tasks} in flight", case.name()), &rounds, &peers);
        }
    }
    for (name, what) in [
        ("db_statements_moved_total", "statements moved off the shared connections"),
        ("db_shared_refused_total", "statements refused a place"),
    ] {
        let count = meters.counter(name, "", &[("server", "primary")]).get();
        report.value(&format!("postgres, {what}"), "ours", count as f64, "statements");
    }
    ours.0.close().await;
    Ok(())
}

async fn measured(peer: &impl Peer, case: Case, plan: &Plan, serials: &Serials) -> Result<Round, Failure> {
    round(peer, case, plan.tasks, plan.time, serials).await
}

fn print(report: &mut Report, name: &str, rounds: &[Vec<Round>], peers: &[(&str, Option<Target>)]) {
    let middle = |rounds: &[Round], figure: fn(&Round) -> f64| {
        median(&mut rounds.iter().map(figure).collect::<Vec<f64>>())
    };
    let speed: Vec<f64> = rounds.iter().map(|rounds| middle(rounds, |round| round.per_second)).collect();
    let cpu: Vec<f64> = rounds.iter().map(|rounds| middle(rounds, |round| round.cpu_micros)).collect();
    for (index, (peer, target)) in peers.iter().enumerate() {
        let theirs = index + 1;
        report.ratio(name, speed[0], "ops/s", peer, speed[theirs], *target);
        report.ratio(&format!("{name}, CPU"), cpu[0], "us/op", peer, cpu[theirs], None);
        report.value(&format!("{name}, p99"), peer, middle(&rounds[theirs], |round| round.p99_millis), "ms");
        report.value(&format!("{name}, errors"), peer, errors(&rounds[theirs]), "errors");
    }
    report.value(&format!("{name}, p99"), "ours", middle(&rounds[0], |round| round.p99_millis), "ms");
    report.against(&format!("{name}, errors of ours"), errors(&rounds[0]), "errors", Target::AtMost(0.0));
}

fn errors(rounds: &[Round]) -> f64 {
    rounds.iter().map(|round| round.errors as f64).sum()
}

fn fill_sqlite(path: &Path) -> Result<(), Failure> {
    let connection = rusqlite::Connection::open(path)?;
    raw_sqlite::pragmas(&connection, "normal")?;
    connection.execute_batch(&format!(
        "create table product (id integer primary key, name text not null, price integer not null, stock integer not null) strict;
         create table entry (id integer primary key, body text not null, amount integer not null) strict;
         create table stock (id integer primary key, units integer not null) strict;
         with recursive n(n) as (select 1 union all select n + 1 from n where n < {PRODUCTS})
         insert into product select n, 'product number ' || n, n * 100, n % 7 from n;
         insert into stock select id, 0 from product;"
    ))?;
    Ok(())
}

async fn fill_postgres(url: &str) -> Result<(), Failure> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    client
        .batch_execute(&format!(
            "create table product (id bigint primary key, name text not null, price bigint not null, stock bigint not null);
             create table entry (id bigint primary key, body text not null, amount bigint not null);
             create table stock (id bigint primary key, units bigint not null) with (fillfactor = 50);
             insert into product select n, 'product number ' || n, n * 100, n % 7 from generate_series(1, {PRODUCTS}) n;
             insert into stock select id, 0 from product;
             analyze product, stock;"
        ))
        .await?;
    drop(client);
    driver.await??;
    Ok(())
}
