//! The `burgeon` command: makes new applications, and runs an application's own binary where it needs the application.
//!
//! What it is not: a build tool. `cargo run` and `cargo test` are how an application is run and tested.

mod name;
mod new;
mod project;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "burgeon", version, about = "Makes Burgeon applications and asks them things.", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  burgeon new bookshop            a new application in ./bookshop
  burgeon routes                  every route of the application in this directory, with its policy
  burgeon migrate --status        which migrations have run
  burgeon db move --to URL        the application's data, from SQLite to Postgres
  burgeon config explain          every key, its value and where it came from";

#[derive(Subcommand)]
enum Verb {
    /// Makes a new application: one module with a table, a page and an API, its test, and a README.
    #[command(after_help = "Examples:
  burgeon new bookshop
  burgeon new bookshop --path ~/work/bookshop
  burgeon new bookshop --burgeon-path ~/src/burgeon    against a checkout that you change yourself")]
    New(New),
    /// Lists the application's routes with their policies. Options after it are the application's.
    #[command(
        after_help = "Examples:\n  burgeon routes\n  burgeon routes --json\n  burgeon routes --package shop"
    )]
    Routes(Own),
    /// Brings the database up to date, or says with --status what has run.
    #[command(
        after_help = "Examples:\n  burgeon migrate --status\n  DATABASE_URL=postgres://app@db/shop burgeon migrate"
    )]
    Migrate(Own),
    /// `db move --to URL`: moves the data from the application's SQLite file to Postgres.
    Db(Own),
    /// `config explain`: every key of the configuration, its value and where it came from.
    #[command(after_help = "Examples:\n  burgeon config explain\n  burgeon config explain --json")]
    Config(Own),
    /// Lists the application's SQL statements with their places in the source.
    #[command(after_help = "Example:\n  burgeon statements")]
    Statements(Own),
    /// Prints the application's OpenAPI document.
    #[command(after_help = "Example:\n  burgeon openapi > openapi.json")]
    Openapi(Own),
}

#[derive(Args)]
struct New {
    /// The name: lower-case letters, digits, `-` and `_`, beginning with a letter.
    name: String,
    /// The directory to make. Default: the name, in the working directory.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The checkout of Burgeon to build against. Default: the one this command was built from.
    #[arg(long, value_name = "DIR")]
    burgeon_path: Option<PathBuf>,
}

#[derive(Args)]
struct Own {
    /// The application's package, where the workspace has several.
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// What the application is told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    rest: Vec<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(refused) => {
            eprintln!("burgeon: {refused}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, String> {
    let own = |verb: &str, own: Own| project::run(verb, own.package.as_deref(), &own.rest);
    match cli.verb {
        Verb::New(New { name, path, burgeon_path }) => {
            let name = name::Name::parse(&name)?;
            let path = path.unwrap_or_else(|| PathBuf::from(name.package()));
            let source = new::create(&name, &path, burgeon_path.as_deref())?;
            println!("Made {} in {}, {source}. Next:", name.package(), path.display());
            println!("  cd {}\n  cargo run     # serves http://127.0.0.1:3000\n  cargo test", path.display());
            Ok(ExitCode::SUCCESS)
        }
        Verb::Routes(rest) => own("routes", rest),
        Verb::Migrate(rest) => own("migrate", rest),
        Verb::Db(rest) => own("db", rest),
        Verb::Config(rest) => own("config", rest),
        Verb::Statements(rest) => own("statements", rest),
        Verb::Openapi(rest) => own("openapi", rest),
    }
}
