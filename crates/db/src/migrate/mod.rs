//! Migrations: the tables of each module, brought up to date once, in order, by whoever starts first.
//!
//! What this is: a runner of SQL files that are compiled into the program. What it is not: a generator of them, a way
//! back (the way back is a backup, or a new migration), or a judge of what a file does to a large table.
//!
//! ```text
//! migrations/0001_products.sql            serves both engines
//! migrations/0002_search.sqlite.sql       or one each
//! migrations/0002_search.postgres.sql
//! ```
//!
//! # Invariants
//! - Each file runs once per database, however many nodes start at once: on Postgres under an advisory lock, on SQLite
//!   in the writer's transaction.
//! - A file is one transaction and leaves nothing half-done; a file of Postgres whose first line says
//!   `-- burgeon: no-transaction` is not (`create index concurrently` refuses one). On SQLite that line says nothing.
//! - History is never rewritten: a file that was applied and then edited, renamed, deleted, or preceded by a new one is
//!   refused with the way out.
//!
//! # A newer program's database
//! In a rolling deploy the new version migrates while the old one still runs, and an old node may be restarted then.
//! [`Migrator::run`] refuses a database that has migrations this program does not know: `migrate` by an old version is
//! a mistake. A node that starts to serve uses [`Migrator::beside_newer`]: it leaves a module that has gone ahead
//! alone, and starts. That is safe as long as a migration only takes away what no running version uses any more, which
//! is how one deploys without a pause: add first, take away a version later.
//!
//! # When it breaks
//! The error names module, file, line and what the database said. The next start tries again from that file. A lock that
//! a table's users do not let go of is given up after 5 s and tried again, some times: waiting for it would make
//! everybody else wait behind.

mod plan;
mod postgres;
mod script;
mod sqlite;

use std::fmt;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Kind, Result};

use self::plan::Module;
use crate::db::EngineOf;
use crate::{Db, Engine, Fault};

/// How long one file may run.
const FILE_LIMIT: Duration = Duration::from_secs(3_600);

/// One file, compiled into the program. Made by [`migrations!`](crate::migrations).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// A migration of this name and the texts for SQLite and Postgres.
    pub const fn new(name: &'static str, [sqlite, postgres]: [&'static str; 2]) -> Self {
        Self { name, sqlite, postgres }
    }

    /// Its name: the file's, without what follows the first dot.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its text for this engine.
    pub const fn sql(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}

/// The files of the crate's `migrations/` folder, in order, as `&'static [Migration]`.
///
/// `NAME.sql` serves both engines; where they differ there is the pair `NAME.sqlite.sql` and `NAME.postgres.sql`, and
/// the list says `NAME.sql` all the same. That the files exist and are in order is checked when the program is compiled.
///
/// ```text
/// Module::new("catalog").migrations(migrations!["0001_products.sql", "0002_search.sql"])
/// ```
#[macro_export]
macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        $crate::private::migration_files!($crate; $($name),*)
    };
}

/// The migrations of all modules.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Result};
/// # use burgeon_db::{Db, Migration, Migrator};
/// # const CATALOG: &[Migration] = &[];
/// # const ORDERS: &[Migration] = &[];
/// # async fn example(db: &Db, ctx: &Ctx) -> Result<()> {
/// let migrator = Migrator::new().module("catalog", CATALOG).module("orders", ORDERS).after(["catalog"]);
/// for step in migrator.run(db, ctx).await? {
///     println!("applied {step}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a migrator does nothing until `run` or `status` is awaited"]
pub struct Migrator {
    modules: Vec<Module>,
    beside_newer: bool,
}

/// One file and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The module.
    pub module: String,
    /// The file's name.
    pub name: String,
    /// How it stands.
    pub state: State,
}

/// How a file stands against what the database remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has run here, as it is.
    Applied,
    /// It has not run yet.
    Pending,
    /// It has run, and was changed since.
    Edited {
        /// The checksum of what ran.
        applied: String,
        /// The checksum of what is in this program.
        file: String,
    },
    /// It has run, and this program does not have it yet: the database is ahead.
    Newer,
    /// It has run, and this program does not have it any more.
    Missing,
    /// It belongs to a module that this program does not have.
    OtherModule,
}

impl State {
    /// One word for a table: `applied`, `pending`, `edited`, `newer`, `missing`, `other`.
    pub const fn name(&self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Edited { .. } => "edited",
            State::Newer => "newer",
            State::Missing => "missing",
            State::OtherModule => "other",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.module, self.name, self.state.name())
    }
}

impl Migrator {
    /// No migrations at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files of a module. A module without tables may be named too, so that others can come after it.
    pub fn module(mut self, name: &'static str, files: &'static [Migration]) -> Self {
        self.modules.push(Module { name, files, after: Vec::new() });
        self
    }

    /// The modules that the last one comes after: its tables may refer to theirs.
    pub fn after(mut self, modules: impl IntoIterator<Item = &'static str>) -> Self {
        if let Some(last) = self.modules.last_mut() {
            last.after.extend(modules);
        }
        self
    }

    /// For a node that starts to serve: where a newer version has migrated already, that is well.
    pub fn beside_newer(mut self) -> Self {
        self.beside_newer = true;
        self
    }

    /// Applies what is pending, in order, and answers what it applied: nothing, if somebody else was first.
    ///
    /// It waits for another node that is at it, until the deadline of `ctx`, or for 5 minutes.
    ///
    /// # Errors
    /// [`Kind::Internal`] with the story in its source: history that was edited, a newer database, a circle of modules,
    /// SQL that failed (module, file, line, the database's words). [`Kind::Unavailable`] when the database is away.
    pub async fn run(&self, db: &Db, ctx: &Ctx) -> Result<Vec<Step>> {
        let modules = plan::order(&self.modules).map_err(refused)?;
        match &db.0.engine {
            EngineOf::Sqlite(sqlite) => sqlite::run(sqlite, ctx, &modules, self.beside_newer).await,
            EngineOf::Postgres(fleet) => {
                let primary = fleet.primary_pool(ctx).await.map_err(Fault::into_error)?;
                postgres::run(&primary, ctx, &modules, self.beside_newer).await
            }
        }
    }

    /// Every file, of this program and of the database, and how it stands. Changes nothing.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a circle of modules; whatever befell the database.
    pub async fn status(&self, db: &Db, ctx: &Ctx) -> Result<Vec<Step>> {
        let modules = plan::order(&self.modules).map_err(refused)?;
        let applied = match &db.0.engine {
            EngineOf::Sqlite(sqlite) => sqlite::applied(sqlite, ctx).await?,
            EngineOf::Postgres(fleet) => {
                let primary = fleet.primary_pool(ctx).await.map_err(Fault::into_error)?;
                postgres::applied(&primary, ctx).await?
            }
        };
        Ok(plan::compare(&modules, &applied, db.engine()))
    }
}

impl Migrator {
    /// Refuses a SQLite file whose tables are not exactly those of this program.
    pub(crate) fn refuse_behind(&self, conn: &rusqlite::Connection) -> Result<(), Fault> {
        let unusable = |why: String| Fault::Unusable { why };
        let modules = plan::order(&self.modules).map_err(unusable)?;
        let applied = sqlite::applied_by(conn)?;
        let steps = plan::compare(&modules, &applied, Engine::Sqlite);
        let other = steps.iter().find(|step| !matches!(step.state, State::Applied | State::OtherModule));
        match other {
            None => Ok(()),
            Some(step) => Err(unusable(format!(
                "the file's tables are not those of this program ({step}); run `migrate` with this version first"
            ))),
        }
    }
}

/// What the database remembers is made by the first run.
const MEMORY: [&str; 2] = [
    "create table if not exists burgeon_migration (
        module text not null,
        name text not null,
        checksum text not null,
        applied_at integer not null default (cast(unixepoch('subsec') * 1000000 as integer)),
        took_ms integer not null,
        primary key (module, name)
    ) strict",
    "create table if not exists burgeon_migration (
        module text not null,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now(),
        took_ms bigint not null,
        primary key (module, name)
    )",
];

/// History, modules or files are not as they must be.
fn refused(why: String) -> Error {
    Error::new(Kind::Internal, "The database was not migrated.").with_source(why)
}

/// A file did not run to its end.
fn failed(pending: &plan::Pending, line: usize, what: &str, done: &str) -> Error {
    refused(format!(
        "migration `{}` of module `{}` failed at line {line}: {what}; {done}",
        pending.file.name(),
        pending.module
    ))
}

/// The statements of a file, unless it begins or ends transactions by itself.
fn parts_of(pending: &plan::Pending, engine: Engine) -> Result<Vec<script::Part<'static>>> {
    let parts = script::parts(pending.file.sql(engine));
    for part in &parts {
        let word: String = part.sql.chars().take_while(char::is_ascii_alphabetic).collect();
        if ["begin", "commit", "rollback", "start", "abort", "end"]
            .contains(&word.to_ascii_lowercase().as_str())
        {
            return Err(failed(
                pending,
                part.line,
                &format!("`{word}` has no place here: a file is one transaction"),
                "nothing was done; remove it, or make two files of it",
            ));
        }
    }
    Ok(parts)
}

impl plan::Pending {
    fn step(&self) -> Step {
        Step { module: self.module.to_owned(), name: self.file.name().to_owned(), state: State::Applied }
    }
}
