//! `shop import FILE`: one thread reads and checks, the database writes, and neither waits longer than it must.
//!
//! # Invariants
//! - A batch is written whole or not at all, so an import that was killed is finished by starting it again.
//! - A line is known by its invoice and its number in the file, so the same file twice changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use burgeon::clap;
use burgeon::prelude::*;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::file::{Entry, Export};
use super::line::Line;
use super::progress::Progress;
use super::refused::Refused;
use super::repository::{self, Known};

/// Lines per transaction: long enough for the commit not to count, short enough not to lose much.
const BATCH: usize = 20_000;
/// Batches read ahead of the database.
const AHEAD: usize = 2;

/// Arguments of `shop import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The export, plain or gzipped.
    file: PathBuf,
    /// Where refused lines are written [default: FILE.refused.csv].
    #[arg(long, value_name = "PATH")]
    refused: Option<PathBuf>,
    /// Print the summary as JSON, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What an import came to.
#[derive(Debug, Serialize)]
struct Summary {
    file: String,
    lines: u64,
    inserted: u64,
    already_there: u64,
    refused: u64,
    refused_file: Option<String>,
    seconds: f64,
    lines_per_second: u64,
}

type Batch = Vec<(u64, Line)>;

pub(super) async fn run(args: Args, ctx: Ctx, db: Db, tasks: Tasks) -> Result<()> {
    let started = Instant::now();
    let export = Export::open(&args.file)?;
    let mut progress = Progress::new(export.progress(), args.json);
    let refused = Refused::beside(&args.file, args.refused);

    let (sender, batches) = mpsc::channel(AHEAD);
    let reading = tasks.blocking("read an export", move || read(export, refused, &sender));
    let (read, written) = tokio::join!(reading, write(&db, &ctx, batches, &mut progress));
    progress.finish();
    let (lines, inserted) = written?;
    let (refused, refused_file) = read?.map_err(|error| {
        let sentence =
            format!("{} {lines} lines are in; importing a whole file adds the rest.", error.public());
        Error::invalid(sentence).with_source(error)
    })?;

    let took = started.elapsed();
    print(
        &args.json,
        &Summary {
            file: args.file.display().to_string(),
            lines: lines + refused,
            inserted,
            already_there: lines - inserted,
            refused,
            refused_file: refused_file.map(|path| path.display().to_string()),
            seconds: took.as_secs_f64(),
            lines_per_second: per_second(lines + refused, took),
        },
    )
}

/// The reading thread: ends at the end of the file, at damage, or when nobody listens any more.
fn read(
    mut export: Export,
    mut refused: Refused,
    batches: &mpsc::Sender<Batch>,
) -> Result<(u64, Option<PathBuf>)> {
    let mut batch = Batch::with_capacity(BATCH);
    let end = loop {
        match export.next() {
            Ok(Some(Entry::Line(number, line))) => batch.push((number, line)),
            Ok(Some(Entry::Refused(number, why, text))) => refused.add(number, &why, &text)?,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        if batch.len() == BATCH
            && batches.blocking_send(std::mem::replace(&mut batch, Batch::with_capacity(BATCH))).is_err()
        {
            // Writing has failed and says why.
            return refused.finish();
        }
    };
    // What was read before damage counts. If nobody listens, writing says why.
    let _ = batches.blocking_send(batch);
    let refused = refused.finish()?;
    end.map(|()| refused)
}

/// Writes batch by batch; how many lines there were, and how many of them new. When it fails it drops the receiver, and
/// reading ends at its next batch.
async fn write(
    db: &Db,
    ctx: &Ctx,
    mut batches: mpsc::Receiver<Batch>,
    progress: &mut Progress,
) -> Result<(u64, u64)> {
    let (mut lines, mut inserted) = (0, 0);
    let mut known = Known::default();
    while let Some(batch) = batches.recv().await {
        inserted += db.tx(ctx, async |tx| repository::insert(tx, &mut known, &batch).await).await?;
        lines += batch.len() as u64;
        progress.show(lines);
    }
    Ok((lines, inserted))
}

fn per_second(lines: u64, took: Duration) -> u64 {
    (lines as f64 / took.as_secs_f64().max(0.001)) as u64
}

fn print(json: &bool, summary: &Summary) -> Result<()> {
    if *json {
        println!("{}", serde_json::to_string(summary).map_err(Error::internal)?);
        return Ok(());
    }
    let Summary { lines, inserted, already_there, refused, seconds, lines_per_second, .. } = summary;
    println!("{lines} lines in {seconds:.1} s ({lines_per_second} a second)");
    println!("{inserted} new, {already_there} already there, {refused} refused");
    if let Some(path) = &summary.refused_file {
        println!("The refused lines and why: {path}");
    }
    Ok(())
}
