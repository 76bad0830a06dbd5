//! Migrations on Postgres: a connection outside the pool, an advisory lock, a transaction per file.

use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::error::{ErrorPosition, SqlState};

use super::plan::{self, Applied, Module, Pending};
use super::script::{Part, checksum, runs_alone};
use super::{FILE_LIMIT, MEMORY, Step, failed, parts_of, refused};
use crate::postgres::{Pool, words};
use crate::{Engine, Fault, clock};

/// `burgeon`, in ASCII, and which of its locks this is.
const LOCK: i64 = 0x6275_7267_656f_6e01;
/// How long somebody else's migrations are waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);
/// How long a statement waits for a table that others use.
const TABLE_PATIENCE: Duration = Duration::from_secs(5);
/// How often a file is tried that did not get its table.
const TRIES: u32 = 6;
/// How long until it is tried again.
const PAUSE: Duration = Duration::from_secs(10);

const HISTORY: &str = "select module, name, checksum, took_ms from burgeon_migration order by module, name";
const RECORD: &str =
    "insert into burgeon_migration (module, name, checksum, took_ms) values ($1, $2, $3, $4)";

pub(super) async fn run(
    pool: &Pool,
    ctx: &Ctx,
    modules: &[&Module],
    beside_newer: bool,
) -> Result<Vec<Step>> {
    let connection = pool.direct(until(ctx, pool.connect_timeout())).await.map_err(Fault::into_error)?;
    let client = connection.client();
    let settings = format!(
        "set lock_timeout = {}; set statement_timeout = {}; set idle_in_transaction_session_timeout = 0",
        TABLE_PATIENCE.as_millis(),
        FILE_LIMIT.as_millis()
    );
    client.batch_execute(&settings).await.map_err(broken)?;
    lock(client, ctx).await?;
    client.batch_execute(MEMORY[1]).await.map_err(broken)?;
    let applied = history(client).await?;
    let pending = plan::pending(modules, &applied, Engine::Postgres, beside_newer).map_err(refused)?;
    let mut done = Vec::with_capacity(pending.len());
    for next in pending {
        apply(client, &next).await?;
        done.push(next.step());
    }
    // Held by the connection, so it would go with it; but not before the server has noticed.
    client.query_one("select pg_advisory_unlock($1)", &[&LOCK]).await.map_err(broken)?;
    Ok(done)
}

pub(super) async fn applied(pool: &Pool, ctx: &Ctx) -> Result<Vec<Applied>> {
    let connection = pool.direct(until(ctx, pool.connect_timeout())).await.map_err(Fault::into_error)?;
    let client = connection.client();
    let known = client.query_one("select to_regclass('burgeon_migration') is not null", &[]).await;
    if known.and_then(|row| row.try_get::<_, bool>(0)).map_err(broken)? {
        history(client).await
    } else {
        Ok(Vec::new())
    }
}

/// Asked for again and again instead of waited for: who waits for an advisory lock has a snapshot open, and
/// `create index concurrently` waits until every older snapshot is gone, that one too.
async fn lock(client: &Client, ctx: &Ctx) -> Result<()> {
    let until = until(ctx, LOCK_PATIENCE);
    let mut pause = Duration::from_millis(50);
    loop {
        let row = client.query_one("select pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(broken)?;
        if row.try_get(0).map_err(broken)? {
            return Ok(());
        }
        if Instant::now() + pause > until {
            return Err(Fault::Timeout {
                whose: "waiting for another node to finish its migrations".to_owned(),
                after: LOCK_PATIENCE,
            }
            .into_error());
        }
        if pause > Duration::from_millis(400) {
            tracing::info!("another node is migrating the database; waiting for it");
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

async fn history(client: &Client) -> Result<Vec<Applied>> {
    let rows = client.query(HISTORY, &[]).await.map_err(broken)?;
    let applied = |row: &tokio_postgres::Row| -> Result<Applied, tokio_postgres::Error> {
        Ok(Applied {
            module: row.try_get(0)?,
            name: row.try_get(1)?,
            checksum: row.try_get(2)?,
            took_millis: row.try_get(3)?,
        })
    };
    rows.iter().map(|row| applied(row).map_err(broken)).collect()
}

/// One file, tried again where a table was held by others.
async fn apply(client: &Client, next: &Pending) -> Result<()> {
    let parts = parts_of(next, Engine::Postgres)?;
    let alone = runs_alone(next.file.sql(Engine::Postgres));
    let mut tries = 1;
    loop {
        let ran = if alone {
            without_transaction(client, next, &parts).await
        } else {
            in_transaction(client, next, &parts).await
        };
        let Err((line, error)) = ran else { return Ok(()) };
        if !alone {
            // The connection's state, not the outcome, is what this is for: the error says what happened.
            let _ = client.batch_execute("rollback").await;
        }
        let held = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        if held && tries < TRIES {
            tracing::warn!(
                module = next.module,
                file = next.file.name(),
                line,
                "a table was in use for {TABLE_PATIENCE:?}; the migration is tried again in {PAUSE:?}"
            );
            tries += 1;
            sleep(PAUSE).await;
            continue;
        }
        let what = error.as_db_error().map_or_else(|| broken_words(&error), words);
        let done = match (alone, held) {
            (false, false) => "nothing of it was done",
            (false, true) => {
                "nothing of it was done; a long transaction holds the table, see pg_stat_activity"
            }
            (true, _) => {
                "what stands before that line was done, and will be again: write it with `if not exists`"
            }
        };
        return Err(failed(next, line, &what, done));
    }
}

type Ran = Result<(), (usize, tokio_postgres::Error)>;

async fn in_transaction(client: &Client, next: &Pending, parts: &[Part<'_>]) -> Ran {
    let started = Instant::now();
    client.batch_execute("begin").await.map_err(|error| (1, error))?;
    statements(client, parts).await?;
    let last = parts.last().map_or(1, |part| part.line);
    record(client, next, started).await.map_err(|error| (last, error))?;
    client.batch_execute("commit").await.map_err(|error| (last, error))
}

async fn without_transaction(client: &Client, next: &Pending, parts: &[Part<'_>]) -> Ran {
    let started = Instant::now();
    for part in parts {
        drop_unfinished(client, part).await.map_err(|error| (part.line, error))?;
    }
    statements(client, parts).await?;
    let last = parts.last().map_or(1, |part| part.line);
    record(client, next, started).await.map_err(|error| (last, error))
}

async fn statements(client: &Client, parts: &[Part<'_>]) -> Ran {
    for part in parts {
        client.batch_execute(part.sql).await.map_err(|error| {
            let position = error.as_db_error().and_then(|db| db.position());
            let line = match position {
                Some(ErrorPosition::Original(position)) => part.line_of(*position as usize),
                _ => part.line,
            };
            (line, error)
        })?;
    }
    Ok(())
}

/// An index that an earlier try left unfinished exists by name, so that `if not exists` would let it be, and serves
/// nobody.
async fn drop_unfinished(client: &Client, part: &Part<'_>) -> Result<(), tokio_postgres::Error> {
    const UNFINISHED: &str = "select format('drop index concurrently %I.%I', n.nspname, c.relname) from pg_index i \
         join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace \
         where not i.indisvalid and i.indexrelid = to_regclass($1)";
    let Some(name) = concurrent_index(part.sql) else { return Ok(()) };
    for row in client.query(UNFINISHED, &[&name]).await? {
        client.batch_execute(row.try_get(0)?).await?;
    }
    Ok(())
}

/// The name in `create [unique] index concurrently [if not exists] NAME on ..`.
fn concurrent_index(sql: &str) -> Option<String> {
    let mut words = sql.split_whitespace();
    let mut lower = || words.next().map(str::to_ascii_lowercase);
    let (create, mut index) = (lower()?, lower()?);
    if index == "unique" {
        index = lower()?;
    }
    if create != "create" || index != "index" || lower()? != "concurrently" {
        return None;
    }
    match words.next()? {
        word if word.eq_ignore_ascii_case("if") => words.nth(2),
        word if word.eq_ignore_ascii_case("on") => None,
        name => Some(name),
    }
    .map(str::to_owned)
}

async fn record(client: &Client, next: &Pending, started: Instant) -> Result<(), tokio_postgres::Error> {
    let sum = checksum(next.file.sql(Engine::Postgres));
    let took = started.elapsed().as_millis() as i64;
    client.execute(RECORD, &[&next.module, &next.file.name(), &sum, &took]).await.map(drop)
}

fn until(ctx: &Ctx, limit: Duration) -> Instant {
    Instant::from_std(clock::deadline(ctx, limit).instant())
}

/// Between the files: the server, or the right to make a table, is missing.
fn broken(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => refused(words(db)),
        None => Fault::Unavailable { why: broken_words(&error) }.into_error(),
    }
}

fn broken_words(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_index_made_beside_its_users_is_found() {
        let name = |sql| concurrent_index(sql);
        assert_eq!(name("create index concurrently a_b on a (b)").as_deref(), Some("a_b"));
        assert_eq!(
            name("CREATE UNIQUE INDEX\n CONCURRENTLY if not exists \"A\" on a (b)").as_deref(),
            Some("\"A\"")
        );
        assert_eq!(name("create index concurrently on a (b)"), None);
        assert_eq!(name("create index a_b on a (b)"), None);
        assert_eq!(name("create table a (b bigint)"), None);
    }
}
