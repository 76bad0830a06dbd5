//! `db move`: the application's data goes from its SQLite file to Postgres, while the file is still read from.

use std::process::ExitCode;

use burgeon_core::Secret;
use burgeon_core::units::format_duration;
use burgeon_db::{Config, Moved, Mover, Stage};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::compose::compose;
use crate::config::{columns, database_url};
use crate::settings::Settings;
use crate::together::Standing;
use crate::verbs::{log, print};
use crate::{App, StartError};

/// The verb's own command line.
pub(crate) fn command(json: Arg, name: &str) -> clap::Command {
    let moving = clap::Command::new("move")
        .about("Moves the application's data from its SQLite file to Postgres")
        .long_about(
            "Moves the application's data from its SQLite file to an empty Postgres database: makes the tables with the \
             application's own migrations, copies every table from one state of the file, reads everything back, and \
             compares counts and checksums. A process that serves from the file goes on reading; its writes are refused \
             from the first row on. At the end the file is closed for good: start the application with the new address.\n\n\
             Stopped before its end, by whatever, it leaves the file as it was and the target's tables empty: run it again.",
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("URL")
                .required_unless_present("undo")
                .help("The empty database: postgres://USER:PASSWORD@HOST/NAME"),
        )
        .arg(Arg::new("from").long("from").value_name("URL").help("The file, as sqlite:PATH [default: `database.url`]"))
        .arg(
            Arg::new("leave")
                .long("leave")
                .value_name("TABLE")
                .action(ArgAction::Append)
                .help("Leaves a table out; may be said more than once"),
        )
        .arg(
            Arg::new("rehearse")
                .long("rehearse")
                .action(ArgAction::SetTrue)
                .help("Copies and verifies, and takes it all back: how long it will take, and what will be in the way"),
        )
        .arg(
            Arg::new("undo")
                .long("undo")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["to", "rehearse", "leave"])
                .help("Takes the file into use again; what was written to Postgres since is not in it"),
        )
        .arg(json)
        .after_help(format!(
            "Examples:
  {name} db move --to postgres://app:secret@db/{name} --rehearse   how long, and what is in the way
  {name} db move --to postgres://app:secret@db/{name}              the move itself
  DATABASE_URL=postgres://app:secret@db/{name} {name}              serving from the new place
  {name} db move --undo                                       back to the file, as it was then"
        ));
    clap::Command::new("db")
        .about("Moves the data to another database")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(moving)
}

pub(crate) async fn run(app: App, mut settings: Settings, rest: &ArgMatches) -> Result<ExitCode, StartError> {
    let telemetry = log(&settings)?;
    let text = |name: &str| rest.get_one::<String>(name).cloned();
    let mut from = settings.sections.database.clone();
    if let Some(url) = text("from") {
        from.url = Secret::new(url);
    }
    let source = shown(&from);
    let to = text("to").map(|url| Config { url: Secret::new(url), ..settings.sections.database.clone() });
    if let Some(to) = &to {
        to.validate().map_err(|why| StartError::new(format!("--to: {why}")))?;
        settings.sections.database = to.clone();
    } else {
        // Nothing but the file is touched, and no server need be there.
        settings.sections.database = from.clone();
    }
    let composed = compose(app, settings, Standing::Apart).await?;
    let tasks = composed.lifecycle.tasks();
    let mut mover = Mover::new(from, composed.migrator.clone());
    for table in rest.get_many::<String>("leave").into_iter().flatten() {
        mover = mover.leave(table);
    }
    if rest.get_flag("rehearse") {
        mover = mover.rehearsal();
    }
    let moved = match &to {
        None => mover.undo(&tasks).await.map(|closed| {
            let target = closed.map(|closed| closed.target);
            print(
                rest,
                || undone(&source, target.as_deref()),
                || json!({ "file": source, "was_moved_to": target }),
            );
        }),
        Some(to) => {
            let target = shown(to);
            let mut bar = Bar::new();
            let mut told = |stage| tell(&mut bar, stage);
            let moved = mover.run(&composed.db, &target, &tasks, &composed.patient(), &mut told).await;
            bar.finish();
            moved.map(|moved| {
                print(rest, || words(&moved, &source, &target), || machine(&moved, &source, &target))
            })
        }
    };
    composed.db.close().await;
    moved.map_err(|error| StartError::because("the data was not moved", error))?;
    drop(telemetry);
    Ok(ExitCode::SUCCESS)
}

fn shown(config: &Config) -> String {
    database_url(config.url.expose()).unwrap_or_else(|| "***".to_owned())
}

/// A table is gone through twice: sent, and read back.
fn tell(bar: &mut Bar, stage: Stage) {
    match stage {
        Stage::Held { rows } => bar.begin(rows * 2),
        Stage::Copied { table, rows } => bar.advance(rows, &format!("copying {table}")),
        Stage::Verified { table, rows } => bar.advance(rows, &format!("verifying {table}")),
        Stage::Closed => bar.advance(0, "the file is closed; committing"),
        _ => {}
    }
}

fn words(moved: &Moved, from: &str, to: &str) -> String {
    let head = ["TABLE", "ROWS", "CHECKSUM"].map(str::to_owned);
    let rows = moved
        .tables
        .iter()
        .map(|table| [table.table.clone(), table.rows.to_string(), table.checksum.clone()]);
    let mut words = columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    words.push_str("\nCount and checksum of every table are the same on both sides.\n");
    for left in &moved.left {
        words.push_str(&format!("Not copied: {}: {}\n", left.table, left.why));
    }
    if !moved.differences.is_empty() {
        words.push_str("\nWhat cannot be identical:\n");
        for difference in &moved.differences {
            words.push_str(&format!("  - {difference}\n"));
        }
    }
    let took = format_duration(std::time::Duration::from_millis(moved.took.as_millis() as u64));
    words.push_str(&match moved.rehearsal {
        true => format!("\nIt was a rehearsal: nothing has moved. Writes would be refused for {took}.\n"),
        false => format!(
            "\n{from} is closed and {to} has everything, after {took}. Set `database.url` to the new address and start \
             again; until then reading goes on and writes are refused.\n"
        ),
    });
    words
}

fn machine(moved: &Moved, from: &str, to: &str) -> Value {
    let tables = moved
        .tables
        .iter()
        .map(|table| json!({ "table": table.table, "rows": table.rows, "checksum": table.checksum }));
    let left = moved.left.iter().map(|left| json!({ "table": left.table, "why": left.why }));
    json!({
        "from": from,
        "to": to,
        "rehearsal": moved.rehearsal,
        "tables": tables.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "sequences": moved.sequences,
        "differences": moved.differences,
        "seconds": moved.took.as_secs_f64(),
    })
}

fn undone(file: &str, target: Option<&str>) -> String {
    match target {
        None => format!("{file} was not closed; nothing was done\n"),
        Some(target) => {
            format!("{file} takes writes again. What was written to {target} since the move is not in it.\n")
        }
    }
}
