//! What the application's binary can be told: serve, migrate, db move, routes, scopes, config explain, openapi, statements, and the
//! application's own commands.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::Location;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::{Claimed, Engine, STATEMENTS};
use burgeon_runtime::Tasks;
use burgeon_telemetry::Telemetry;
use clap::{Arg, ArgAction, ArgMatches};

use crate::compose::{self, Composed, Serving, compose};
use crate::config::{columns, json, table};
use crate::parts::Parts;
use crate::scopes::primitives;
use crate::services::Ports;
use crate::settings::Settings;
use crate::together::{Standing, Together, reach};
use crate::{App, Command, Environment, Progress, StartError, alone, modules, move_verb};

/// Does what the command line says.
pub(crate) fn run(app: App, environment: &Environment) -> ExitCode {
    let name = app.name;
    match told(app, environment) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn told(app: App, environment: &Environment) -> Result<ExitCode, StartError> {
    let line = command_line(&app)?;
    let matches = match line.try_get_matches_from(environment.arguments()) {
        Ok(matches) => matches,
        Err(help_or_mistake) => {
            // Help goes to the standard output and is no failure, a mistake goes to the other; clap knows which is which.
            let _ = help_or_mistake.print();
            return Ok(ExitCode::from(u8::try_from(help_or_mistake.exit_code()).unwrap_or(2)));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::new(format!("the process cannot have its threads: {error}")))?;
    let code = runtime.block_on(verb(app, environment, &matches));
    // Everything has been stopped by its owner; what is left is threads that nobody can interrupt.
    runtime.shutdown_background();
    code
}

async fn verb(mut app: App, environment: &Environment, matches: &ArgMatches) -> Result<ExitCode, StartError> {
    let file = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let settings = Settings::load(&mut app, environment, file)?;
    match matches.subcommand() {
        None | Some(("serve", _)) => serve(app, settings).await,
        Some(("config", rest)) => {
            let rest = rest.subcommand_matches("explain").unwrap_or(rest);
            let entries = settings.configuration.entries();
            print(rest, || table(entries), || json(entries));
            Ok(ExitCode::SUCCESS)
        }
        Some(("routes", rest)) => routes(inspect(app, settings).await?, rest).await,
        Some(("openapi", _)) => openapi(inspect(app, settings).await?).await,
        Some(("scopes", rest)) => scopes(&settings, rest),
        Some(("migrate", rest)) => migrate(app, settings, rest).await,
        Some(("db", rest)) => {
            let rest = rest.subcommand_matches("move").unwrap_or(rest);
            move_verb::run(app, settings, rest).await
        }
        Some(("statements", rest)) => {
            statements(rest);
            Ok(ExitCode::SUCCESS)
        }
        Some((name, rest)) => command(app, settings, name, rest).await,
    }
}

async fn serve(app: App, settings: Settings) -> Result<ExitCode, StartError> {
    // The log first: everything after it may have something to say. Kept to the end, for the last lines.
    let telemetry = Arc::new(log(&settings)?);
    let mut composed = compose(app, settings, Standing::Serves).await?;
    composed.prepare_to_serve().await?;
    let Serving { name, lifecycle, ports, .. } = composed.serve(Some(telemetry.clone()));
    let ended = lifecycle.when_ready(move || greet(name, &ports)).run_until_signal().await;
    drop(telemetry);
    ended.map(|()| ExitCode::SUCCESS).map_err(|error| StartError::because("stopped", error))
}

pub(crate) fn log(settings: &Settings) -> Result<Telemetry, StartError> {
    burgeon_telemetry::init(&settings.sections.telemetry)
        .map_err(|error| StartError::because("the log cannot be opened", error))
}

/// Where to look, for the person who started it. On standard output, which is not the log.
fn greet(name: &str, ports: &Ports) {
    let Some(http) = ports.http.get() else { return };
    let mut words = format!(
        "{name} is ready\n  http://{http}/        the application\n  http://{http}/docs    its API\n"
    );
    if let Some(admin) = ports.admin.get() {
        words.push_str(&format!("  http://{admin}/readyz  probes; /metrics, /log\n"));
    }
    say(&words);
}

/// Applies what is pending, or says how every migration stands.
async fn migrate(app: App, settings: Settings, rest: &ArgMatches) -> Result<ExitCode, StartError> {
    let telemetry = log(&settings)?;
    let composed = compose(app, settings, Standing::Apart).await?;
    let (db, ctx) = (&composed.db, composed.patient());
    let steps = match rest.get_flag("status") {
        true => composed.migrator.status(db, &ctx).await,
        false => match alone::try_claim(db, "migrate")? {
            Claimed::Ours(_claim) => composed.migrator.run(db, &ctx).await,
            // Up to date, so that there is nothing to do, or else not now.
            Claimed::Theirs(holder) => {
                composed.refuse_pending(&ctx, Some(&holder)).await.map(|()| Ok(Vec::new()))?
            }
        },
    };
    let steps = steps.map_err(|error| composed.unmigrated(error))?;
    print(
        rest,
        || match steps.is_empty() {
            true => "the database is up to date\n".to_owned(),
            false => {
                let head = ["MODULE", "MIGRATION", "STATE"].map(str::to_owned);
                let rows = steps
                    .iter()
                    .map(|step| [step.module.clone(), step.name.clone(), step.state.name().to_owned()]);
                columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
            }
        },
        || {
            let shown = steps.iter().map(|step| {
                serde_json::json!({ "module": step.module, "name": step.name, "state": step.state.name() })
            });
            shown.collect()
        },
    );
    composed.db.close().await;
    drop(telemetry);
    Ok(ExitCode::SUCCESS)
}

/// An application's own command.
async fn command(
    mut app: App,
    settings: Settings,
    name: &str,
    rest: &ArgMatches,
) -> Result<ExitCode, StartError> {
    let telemetry = log(&settings)?;
    let at = app.commands.iter().position(|command| command.name == name);
    let Some(command) = at.map(|at| app.commands.swap_remove(at)) else {
        return Err(StartError::new(format!("`{name}` is no command")));
    };
    // A command that asks for nothing of the application runs beside one that serves: its database is left alone.
    if let Some((parts, tasks)) = compose::without_database(&settings, &command)? {
        finish(command, rest, parts, tasks, None, settings.sections.runtime.drain_timeout).await?;
    } else {
        let mut composed = compose(app, settings, Standing::Visits).await?;
        composed.prepare_for(name).await?;
        let Composed { parts, lifecycle, db, sections, together, .. } = composed;
        modules::refuse_missing(&format!("the command `{name}`"), command.place, &command.needs, &parts)?;
        let patience = sections.runtime.drain_timeout;
        let done = finish(command, rest, parts, lifecycle.tasks(), Some(&together), patience).await;
        db.close().await;
        done?;
    }
    drop(telemetry);
    Ok(ExitCode::SUCCESS)
}

/// Runs a command to its end, and its tasks to theirs.
async fn finish(
    command: Command,
    rest: &ArgMatches,
    mut parts: Parts,
    tasks: Tasks,
    together: Option<&Together>,
    patience: Duration,
) -> Result<(), StartError> {
    let name = command.name;
    parts.put(Progress::new(name), "Burgeon");
    let run = (command.run)(rest, Ctx::background(), &parts)
        .map_err(|mistake| StartError::new(mistake.to_string()))?;
    let done = run.await;
    if let Some(together) = together {
        together.flush().await;
    }
    let stopped = tasks.stop(patience).await;
    done.map_err(|error| StartError::because(format!("`{name}` failed"), error))?;
    stopped.map_err(|error| StartError::because(format!("`{name}` left tasks behind"), error))
}

/// Builds the application around an empty database of its own, to look at it: no server need be there.
async fn inspect(app: App, mut settings: Settings) -> Result<(Composed, tempfile::TempDir), StartError> {
    let directory = tempfile::tempdir()
        .map_err(|error| StartError::new(format!("no directory for a moment can be made: {error}")))?;
    let file = directory.path().join("inspect.db");
    settings.sections.database = burgeon_db::Config::at(format!("sqlite:{}", file.display()));
    Ok((compose(app, settings, Standing::Apart).await?, directory))
}

/// How far what the application knows reaches, by its configuration alone: nothing is opened.
fn scopes(settings: &Settings, rest: &ArgMatches) -> Result<ExitCode, StartError> {
    let engine = settings.sections.database.engine().map_err(StartError::new)?;
    let cluster = &settings.sections.cluster;
    let primitives = primitives(engine, reach(cluster.link, engine)?, cluster.limits);
    print(
        rest,
        || {
            let head = ["WHAT", "SCOPE", "KEPT IN", "A SECOND NODE CHANGES"].map(str::to_owned);
            let rows = primitives
                .iter()
                .map(|one| [one.name, one.scope.name(), one.kept_in, one.second_node].map(str::to_owned));
            columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
        },
        || serde_json::json!(primitives),
    );
    Ok(ExitCode::SUCCESS)
}

async fn routes(
    (composed, directory): (Composed, tempfile::TempDir),
    rest: &ArgMatches,
) -> Result<ExitCode, StartError> {
    let routes = composed.edge.router().routes();
    print(
        rest,
        || {
            let head = ["METHOD", "PATH", "NAME", "POLICY"].map(str::to_owned);
            let rows = routes.iter().filter(|route| !route.hidden).map(|route| {
                [
                    route.method.to_string(),
                    route.path.clone(),
                    route.name.clone(),
                    route.policy_texts().join(", "),
                ]
            });
            columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
        },
        || {
            let shown = routes.iter().map(|route| {
                serde_json::json!({
                    "method": route.method.as_str(),
                    "path": route.path,
                    "name": route.name,
                    "policy": route.policy_texts(),
                    "place": route.place.to_string(),
                })
            });
            shown.collect()
        },
    );
    composed.db.close().await;
    drop(directory);
    Ok(ExitCode::SUCCESS)
}

async fn openapi((composed, directory): (Composed, tempfile::TempDir)) -> Result<ExitCode, StartError> {
    let document = composed.edge.router().document().cloned().unwrap_or_default();
    say(&format!("{document:#}\n"));
    composed.db.close().await;
    drop(directory);
    Ok(ExitCode::SUCCESS)
}

/// Every statement that is in the binary.
fn statements(rest: &ArgMatches) {
    let mut statements: Vec<_> = STATEMENTS.iter().collect();
    statements.sort_by_key(|statement| (statement.place().file, statement.place().line));
    print(
        rest,
        || {
            let head = ["NAME", "PLACE", "SQL"].map(str::to_owned);
            let rows = statements.iter().map(|statement| {
                [
                    statement.name().to_owned(),
                    statement.place().to_string(),
                    on_one_line(statement.sql(Engine::Postgres)),
                ]
            });
            columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
        },
        || {
            let shown = statements.iter().map(|statement| {
                serde_json::json!({
                    "name": statement.name(),
                    "place": statement.place().to_string(),
                    "sqlite": statement.sql(Engine::Sqlite),
                    "postgres": statement.sql(Engine::Postgres),
                })
            });
            shown.collect()
        },
    );
}

fn on_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints for people, or with `--json` for programs.
pub(crate) fn print(
    matches: &ArgMatches,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Value,
) {
    match matches.try_get_one::<bool>("json") {
        Ok(Some(true)) => say(&format!("{}\n", json())),
        _ => say(&text()),
    }
}

/// Writes to standard output. Unlike `print!` it does not panic when the reader has gone: `routes | head` has seen enough.
pub(crate) fn say(text: &str) {
    if let Err(error) = std::io::stdout().lock().write_all(text.as_bytes())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("standard output cannot be written: {error}");
    }
}

/// The command line of the application, its own commands after the house's.
fn command_line(app: &App) -> Result<clap::Command, StartError> {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs");
    let name = app.name;
    let house = [
        clap::Command::new("serve").about("Serves. This is what happens when nothing is said").after_help(
            examples(&[
                (name, "on a SQLite file in this directory"),
                (&format!("PORT=8080 {name} serve"), "on another port"),
                (&format!("{name} serve --config staging.toml"), "by another file"),
            ]),
        ),
        clap::Command::new("routes").about("Lists every route with its policy").arg(json()).after_help(
            examples(&[
                (&format!("{name} routes"), "a table"),
                (&format!("{name} routes --json"), "for programs"),
            ]),
        ),
        clap::Command::new("scopes")
            .about("Lists what knows something across requests, and how far it reaches: this process, or all nodes")
            .arg(json())
            .after_help(examples(&[(&format!("{name} scopes"), "what a second node changes")])),
        clap::Command::new("migrate")
            .about("Brings the database up to date")
            .arg(
                Arg::new("status")
                    .long("status")
                    .action(ArgAction::SetTrue)
                    .help("Only say how each migration stands"),
            )
            .arg(json())
            .after_help(examples(&[
                (&format!("{name} migrate"), "applies what is pending"),
                (&format!("{name} migrate --status"), "changes nothing"),
            ])),
        move_verb::command(json(), app.name),
        clap::Command::new("openapi")
            .about("Prints the API document (OpenAPI 3.1)")
            .after_help(examples(&[(&format!("{name} openapi > openapi.json"), "for other tools")])),
        clap::Command::new("statements")
            .about("Lists every SQL statement with its place")
            .arg(json())
            .after_help(examples(&[(
                &format!("{name} statements"),
                "name, file, line, and whether it writes",
            )])),
        clap::Command::new("config")
            .about("Says what the configuration is")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                clap::Command::new("explain")
                    .about("Lists every key, its value, where it came from, and its default")
                    .arg(json())
                    .after_help(examples(&[
                        (&format!("{name} config explain"), "a table"),
                        (&format!("PORT=8080 {name} config explain"), "what a variable changes"),
                    ])),
            ),
    ];
    let mut line = clap::Command::new(app.name)
        .version(app.version)
        .about(app.about)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .global(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("The configuration file [default: burgeon.toml]"),
        )
        .after_help(examples(&[
            (name, "serves, on a SQLite file in this directory"),
            (&format!("DATABASE_URL=postgres://app@db/{name} {name}"), "the same on Postgres"),
            (&format!("{name} config explain"), "every key, its value and where it came from"),
            (&format!("{name} routes --json"), "every route with its policy, for programs"),
        ]));
    let mut places: BTreeMap<&str, &'static Location<'static>> = BTreeMap::new();
    for command in &app.commands {
        if house.iter().any(|verb| verb.get_name() == command.name) || command.name == "help" {
            return Err(StartError::new(format!("the command `{}` is Burgeon's own", command.name)).and(
                format!("the application declares it too, at {}; give it another name", command.place),
            ));
        }
        if let Some(other) = places.insert(command.name, command.place) {
            return Err(StartError::new(format!("two commands are called `{}`", command.name))
                .and(format!("one at {other}"))
                .and(format!("one at {}", command.place)));
        }
    }
    line = line.subcommands(house);
    Ok(line.subcommands(app.commands.iter().map(|command| command.clap.clone())))
}

/// Lines to type and what they do, in two columns.
fn examples(lines: &[(&str, &str)]) -> String {
    let width = lines.iter().map(|(typed, _)| typed.len()).max().unwrap_or(0);
    let lines = lines.iter().map(|(typed, does)| format!("\n  {typed:width$}   {does}"));
    format!("Examples:{}", lines.collect::<String>())
}
