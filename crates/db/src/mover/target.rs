//! The Postgres side: one connection, one transaction from the first row to the commit.
//!
//! # Invariants
//! - Until [`Target::commit`] has been answered nothing is there but the empty tables that the migrations made.
//! - Nobody else writes to the tables meanwhile: they are locked against it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;

use crate::Fault;
use crate::postgres::{Connection, words};

use super::digest::{Digest, RowText};
use super::encode::{To, fields};
use super::plan::{Move, TargetColumn, TargetTable};
use super::source::Chunk;

/// `burgeon`, in ASCII, and which of its locks this is.
pub(super) const LOCK: i64 = 0x6275_7267_656f_6e02;

/// How long another move is waited for that has ended, as far as one can tell, and whose server does not know it yet.
const OTHERS: Duration = Duration::from_secs(10);
/// How long the answer to the commit is awaited. Everything that takes long has been done by then.
const COMMIT: Duration = Duration::from_secs(60);

const COLUMNS: &str = "select c.relname::text, a.attname::text, coalesce(b.typname, t.typname)::text, \
        coalesce(b.typtype, t.typtype)::text, not a.attnotnull, a.atthasdef or a.attidentity <> '', a.attgenerated <> '' \
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
    join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype \
    where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = current_schema()::regnamespace \
    order by c.relname, a.attnum";
const REFERENCES: &str = "select f.relname::text, t.relname::text from pg_constraint k \
    join pg_class f on f.oid = k.conrelid join pg_class t on t.oid = k.confrelid \
    where k.contype = 'f' and not k.condeferrable and k.conrelid <> k.confrelid and k.conparentid = 0 \
        and f.relnamespace = current_schema()::regnamespace";
const TRIGGERS: &str = "select c.relname::text, g.tgname::text from pg_trigger g join pg_class c on c.oid = g.tgrelid \
    where not g.tgisinternal and g.tgenabled in ('O', 'A') and g.tgtype & 66 = 0 \
        and c.relnamespace = current_schema()::regnamespace";
const SEQUENCES: &str = "select a.attname::text, pg_get_serial_sequence(quote_ident($1), a.attname) from pg_attribute a \
    where a.attrelid = to_regclass(quote_ident($1)) and a.attnum > 0 and not a.attisdropped \
        and pg_get_serial_sequence(quote_ident($1), a.attname) is not null";

/// A database being filled.
pub(super) struct Target {
    connection: Box<Connection>,
    triggers: Vec<(String, String)>,
}

impl Target {
    /// Begins the transaction that everything happens in.
    pub(super) async fn begin(connection: Box<Connection>) -> Result<Self, Fault> {
        // `local`, so that it works behind a pooler too.
        let begin = "begin; set local statement_timeout = 0; set local lock_timeout = '10s'; \
            set local idle_in_transaction_session_timeout = 0; set local timezone = 'UTC'; set local datestyle = 'ISO'; \
            set local extra_float_digits = 1; set constraints all deferred";
        connection.client().batch_execute(begin).await.map_err(broken)?;
        let target = Self { connection, triggers: Vec::new() };
        // The server of a move that was killed a moment ago may not have noticed yet.
        let until = Instant::now() + OTHERS;
        while !target.is_alone().await? {
            if Instant::now() > until {
                return Err(Fault::Unusable {
                    why: "another move into this database is under way".to_owned(),
                });
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(target)
    }

    async fn is_alone(&self) -> Result<bool, Fault> {
        let taken = self.client().query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await;
        taken.and_then(|row| row.try_get(0)).map_err(broken)
    }

    fn client(&self) -> &Client {
        self.connection.client()
    }

    /// The tables that the migrations made.
    pub(super) async fn tables(&self) -> Result<Vec<TargetTable>, Fault> {
        let mut tables: BTreeMap<String, TargetTable> = BTreeMap::new();
        for row in self.client().query(COLUMNS, &[]).await.map_err(broken)? {
            let text = |index: usize| row.try_get::<_, String>(index).map_err(broken);
            let flag = |index: usize| row.try_get::<_, bool>(index).map_err(broken);
            let name = text(0)?;
            let column = TargetColumn {
                name: text(1)?,
                to: To::of(&text(2)?, &text(3)?),
                nullable: flag(4)?,
                filled: flag(5)?,
                generated: flag(6)?,
            };
            let table = tables.entry(name.clone()).or_default();
            table.name = name;
            table.columns.push(column);
        }
        for row in self.client().query(REFERENCES, &[]).await.map_err(broken)? {
            let from: String = row.try_get(0).map_err(broken)?;
            if let Some(table) = tables.get_mut(&from) {
                table.refers_to.insert(row.try_get(1).map_err(broken)?);
            }
        }
        Ok(tables.into_values().collect())
    }

    /// Keeps everybody else from writing to the tables, refuses those that have rows, and silences the triggers whose
    /// effects are copied themselves.
    pub(super) async fn claim(&mut self, moves: &[Move]) -> Result<(), Fault> {
        let names: Vec<_> = moves.iter().map(|table| name(&table.table)).collect();
        if names.is_empty() {
            return Err(Fault::Unusable { why: "there is no table to move".to_owned() });
        }
        let lock = format!("lock table {} in share row exclusive mode", names.join(", "));
        self.client().batch_execute(&lock).await.map_err(broken)?;
        let mut filled = Vec::new();
        for table in moves {
            let sql = format!("select exists (select 1 from {})", name(&table.table));
            let row = self.client().query_one(sql.as_str(), &[]).await.map_err(broken)?;
            if row.try_get(0).map_err(broken)? {
                filled.push(format!("`{}`", table.table));
            }
        }
        if !filled.is_empty() {
            return Err(Fault::Unusable {
                why: format!(
                    "the target is not empty: there are rows in {}; name an empty database, the move never mixes two",
                    filled.join(", ")
                ),
            });
        }
        // AFTER triggers write elsewhere, and what they wrote on SQLite is copied. BEFORE triggers only change the row
        // itself, and may fill a column that SQLite does not have.
        let moved = |table: &String| moves.iter().any(|one| one.table == *table);
        for row in self.client().query(TRIGGERS, &[]).await.map_err(broken)? {
            let (table, trigger): (String, String) =
                (row.try_get(0).map_err(broken)?, row.try_get(1).map_err(broken)?);
            if moved(&table) {
                let sql = format!("alter table {} disable trigger {}", name(&table), name(&trigger));
                self.client().batch_execute(&sql).await.map_err(broken)?;
                self.triggers.push((table, trigger));
            }
        }
        Ok(())
    }

    /// Writes a table's rows as they come.
    pub(super) async fn fill(
        &self,
        table: &Move,
        mut rows: mpsc::Receiver<Chunk>,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, Fault> {
        let columns: Vec<_> = table.columns.iter().map(|(column, _)| name(column)).collect();
        let sql = format!("copy {} ({}) from stdin", name(&table.table), columns.join(", "));
        let of = |error| in_table(&table.table, error);
        let sink = self.client().copy_in(sql.as_str()).await.map_err(of)?;
        let mut sink = pin!(sink);
        while let Some(Chunk { lines, rows }) = rows.recv().await {
            if !lines.is_empty() {
                sink.send(lines).await.map_err(of)?;
            }
            told(rows);
        }
        sink.finish().await.map_err(of)
    }

    /// Reads a table back: what its rows come to.
    pub(super) async fn digest(
        &self,
        table: &Move,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Digest, Fault> {
        let columns: Vec<_> = table.columns.iter().map(|(column, to)| to.selected(&name(column))).collect();
        let sql = format!("copy (select {} from {}) to stdout", columns.join(", "), name(&table.table));
        let of = |error| in_table(&table.table, error);
        let mut lines = pin!(self.client().copy_out(sql.as_str()).await.map_err(of)?);
        let (mut digest, mut text, mut silent) = (Digest::default(), RowText::default(), 0);
        // A message of COPY in text form is one line.
        while let Some(line) = lines.try_next().await.map_err(of)? {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            for ((column, to), field) in table.columns.iter().zip(fields(line)) {
                match field {
                    None => text.null(),
                    Some(field) => {
                        let canonical = to.canonical(&field).map_err(|why| Fault::Unusable {
                            why: format!("`{}.{column}` cannot be read back: {why}", table.table),
                        })?;
                        text.field(&canonical);
                    }
                }
            }
            digest.add(&mut text);
            silent += 1;
            if silent == 4_096 {
                told(silent);
                silent = 0;
            }
        }
        told(silent);
        Ok(digest)
    }

    /// Lets every sequence go on behind the highest number that was ever given. Answers how many there are.
    pub(super) async fn advance(&self, table: &Move) -> Result<u64, Fault> {
        let rows = self.client().query(SEQUENCES, &[&table.table]).await.map_err(broken)?;
        for row in &rows {
            let (column, sequence): (String, String) =
                (row.try_get(0).map_err(broken)?, row.try_get(1).map_err(broken)?);
            let sql = format!(
                "select setval($1::text::regclass, greatest(coalesce(max({}), 0), $2::bigint, 0) + 1, false) from {}",
                name(&column),
                name(&table.table)
            );
            let highest = table.highest.unwrap_or(0);
            self.client().query_one(sql.as_str(), &[&sequence, &highest]).await.map_err(broken)?;
        }
        Ok(rows.len() as u64)
    }

    /// Everything that could still say no says it now: triggers are themselves again, deferred constraints are checked,
    /// and the move is written down under its id.
    pub(super) async fn settle(&self, id: &str, from: &str, rows: u64) -> Result<(), Fault> {
        for (table, trigger) in &self.triggers {
            let sql = format!("alter table {} enable trigger {}", name(table), name(trigger));
            self.client().batch_execute(&sql).await.map_err(broken)?;
        }
        self.client().batch_execute("set constraints all immediate").await.map_err(broken)?;
        self.client()
            .batch_execute(
                "create table if not exists burgeon_moved (id text primary key, source text not null, rows bigint not null, \
                 moved_at timestamptz not null default now())",
            )
            .await
            .map_err(broken)?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let sql = "insert into burgeon_moved (id, source, rows) values ($1, $2, $3)";
        self.client().execute(sql, &[&id, &from, &rows]).await.map(drop).map_err(broken)
    }

    /// Keeps it. A failure says whether it is known that nothing was kept.
    pub(super) async fn commit(&self) -> Result<(), Fault> {
        match timeout(COMMIT, self.client().batch_execute("commit")).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match error.as_db_error() {
                Some(db) => Fault::Statement { why: words(db) },
                None => Fault::OutcomeUnknown { why: error.to_string() },
            }),
            Err(_) => Err(Fault::OutcomeUnknown { why: format!("no answer within {COMMIT:?}") }),
        }
    }

    /// Takes everything back.
    pub(super) async fn roll_back(&self) -> Result<(), Fault> {
        self.client().batch_execute("rollback").await.map_err(broken)
    }

    /// Gives the planner its statistics. Outside the transaction: it would keep the tables locked.
    pub(super) async fn analyze(&self, moves: &[Move]) -> Result<(), Fault> {
        for table in moves {
            self.client().batch_execute(&format!("analyze {}", name(&table.table))).await.map_err(broken)?;
        }
        Ok(())
    }

    /// How text is sorted and compared here: the name of the collation.
    pub(super) async fn collation(&self) -> Result<String, Fault> {
        let sql = "select datcollate::text from pg_database where datname = current_database()";
        self.client().query_one(sql, &[]).await.and_then(|row| row.try_get(0)).map_err(broken)
    }
}

/// Whether the move of this id has been committed here.
pub(super) async fn has(connection: &Connection, id: &str) -> Result<bool, Fault> {
    let client = connection.client();
    let known = client.query_one("select to_regclass('burgeon_moved') is not null", &[]).await;
    if !known.and_then(|row| row.try_get::<_, bool>(0)).map_err(broken)? {
        return Ok(false);
    }
    let found = client.query_one("select exists (select 1 from burgeon_moved where id = $1)", &[&id]).await;
    found.and_then(|row| row.try_get(0)).map_err(broken)
}

fn in_table(table: &str, error: tokio_postgres::Error) -> Fault {
    // `COPY t, line 7, column price: "..."`: the place, without the content, which may be private.
    let place =
        error.as_db_error().and_then(|db| db.where_()).map(|place| place.split(": ").next().unwrap_or(place));
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    match broken(error) {
        Fault::Statement { why } => Fault::Statement { why: format!("table `{table}`: {why}{place}") },
        other => other,
    }
}

fn broken(error: tokio_postgres::Error) -> Fault {
    match error.as_db_error() {
        Some(db) => Fault::Statement { why: words(db) },
        None => Fault::Unavailable {
            why: match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
        },
    }
}

/// A name as SQL writes it.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
