//! What a query runs on: the database for one statement, or an open transaction.

use burgeon_core::{Ctx, Position, Result};
use tokio_postgres::Row as Raw;

use crate::bulk::Rows;
use crate::db::EngineOf;
use crate::meters::Timed;
use crate::query::{Reads, Writes};
use crate::rows::{All, NewSink, Only, Sink, own, pour};
use crate::sqlite::{self, Sqlite};
use crate::stmt::{Class, Text};
use crate::{Db, Engine, Fault, Row, Tx, Type, Value, postgres};

/// Runs one statement that changes nothing. Made by [`Db::read`].
#[derive(Clone, Copy)]
pub struct Read<'a> {
    pub(crate) db: &'a Db,
    pub(crate) ctx: &'a Ctx,
    pub(crate) aim: Aim,
}

impl Read<'_> {
    /// Insists on the primary: for what must be the newest there is, whoever wrote it. It costs the server that cannot
    /// be multiplied, so it is the exception; what the same request has written, any read sees.
    #[must_use]
    pub fn primary(self) -> Self {
        Self { aim: Aim::Primary, ..self }
    }
}

/// Runs one statement, committed by itself. Made by [`Db::write`].
#[derive(Clone, Copy)]
pub struct Write<'a> {
    pub(crate) db: &'a Db,
    pub(crate) ctx: &'a Ctx,
}

/// Where a query of kind `K` may run. Sealed: [`Read`], [`Write`] and [`Tx`].
#[diagnostic::on_unimplemented(
    message = "this statement cannot run on `{Self}`",
    note = "a statement that changes something runs on `&db.write(&ctx)` or in `db.tx(&ctx, async |tx| ..)`, never on `&db.read(&ctx)`"
)]
pub trait On<K>: sealed::Sealed + Sync {}

impl On<Reads> for Read<'_> {}
impl On<Reads> for Write<'_> {}
impl On<Writes> for Write<'_> {}
impl On<Reads> for Tx {}
impl On<Writes> for Tx {}

/// Which servers a statement by itself may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Any that is fresh enough.
    Anywhere,
    /// The primary, to read.
    Primary,
    /// The primary, to write.
    Write,
}

impl Aim {
    /// The class by which servers are chosen.
    pub(crate) fn class(self) -> Class {
        match self {
            Aim::Anywhere => Class::Read,
            Aim::Primary | Aim::Write => Class::Write,
        }
    }
}

pub(crate) mod sealed {
    use super::{Aim, Read, Target, Tx, Write};

    pub trait Sealed {
        fn target(&self) -> Target<'_>;
    }

    impl Sealed for Read<'_> {
        fn target(&self) -> Target<'_> {
            Target::Alone(self.db, self.ctx, self.aim)
        }
    }

    impl Sealed for Write<'_> {
        fn target(&self) -> Target<'_> {
            Target::Alone(self.db, self.ctx, Aim::Write)
        }
    }

    impl Sealed for Tx {
        fn target(&self) -> Target<'_> {
            Target::Within(self)
        }
    }
}

/// The closed set behind [`On`].
pub enum Target<'a> {
    /// One statement by itself. The aim is the handle's: what a writing handle reads, it reads on the primary.
    Alone(&'a Db, &'a Ctx, Aim),
    /// Within an open transaction.
    Within(&'a Tx),
}

/// What a transaction's statements run on.
pub(crate) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

impl Session {
    /// Keeps what was done, and answers how far a reader must have come to see it.
    pub(crate) async fn commit(self) -> Result<Position, Fault> {
        match self {
            // One file: every reader sees every commit.
            Session::Sqlite(session) => session.commit().await.map(|()| Position::START),
            Session::Postgres(session) => session.commit().await,
        }
    }
}

impl Target<'_> {
    pub(crate) async fn optional<T: Row>(&self, text: Text, params: Vec<Value>) -> Result<Option<T>> {
        let sink = self.rows(&text, params, Only::<T>::sink).await?;
        own::<Only<T>>(sink).map(|only| only.row).map_err(|fault| fault.of_statement(&text))
    }

    pub(crate) async fn all<T: Row>(&self, text: Text, params: Vec<Value>) -> Result<Vec<T>> {
        let sink = self.rows(&text, params, All::<T>::sink).await?;
        own::<All<T>>(sink).map(|all| all.rows).map_err(|fault| fault.of_statement(&text))
    }

    /// Runs a statement for its rows, which go into a sink of the caller's making.
    async fn rows(&self, text: &Text, params: Vec<Value>, sink: NewSink) -> Result<Box<dyn Sink>> {
        let poured = |rows: Vec<Raw>| {
            let mut sink = sink();
            pour(&rows, &mut *sink).map(|()| sink)
        };
        let call = self.call(text, &params)?;
        let result = match self.way() {
            Ok(Way::Sqlite(sqlite, ctx, class)) => {
                sqlite.rows(ctx, text.clone(), params, class_of(class, text), sink).await
            }
            Ok(Way::SqliteTx(session)) => {
                let sql = text.clone();
                session
                    .statement(text.clone(), move |conn| conn.rows(sql.sql(Engine::Sqlite), &params, sink))
                    .await
            }
            Ok(Way::Postgres(fleet, ctx, class)) => {
                fleet.query(ctx, text, &params, class).await.and_then(poured)
            }
            Ok(Way::PostgresTx(session)) => session.query(text, &params).await.and_then(poured),
            Err(fault) => Err(fault),
        };
        call.end(text, result, |sink| sink.count() as u64)
    }

    pub(crate) async fn execute(&self, text: Text, params: Vec<Value>) -> Result<u64> {
        let call = self.call(&text, &params)?;
        let result = match self.way() {
            Ok(Way::Sqlite(sqlite, ctx, _)) => sqlite.execute(ctx, text.clone(), params).await,
            Ok(Way::SqliteTx(session)) => {
                let text = text.clone();
                session
                    .statement(text.clone(), move |conn| conn.execute(text.sql(Engine::Sqlite), &params))
                    .await
            }
            Ok(Way::Postgres(fleet, ctx, _)) => fleet.execute(ctx, &text, &params).await,
            Ok(Way::PostgresTx(session)) => session.execute(&text, &params).await,
            Err(fault) => Err(fault),
        };
        call.end(&text, result, |rows| *rows)
    }

    /// Runs the statement of a bulk insert: on Postgres once, with an array for every column; on SQLite once for every row,
    /// in one hop. All of it happens, or nothing.
    pub(crate) async fn insert_many(&self, text: Text, types: &'static [Type], rows: Rows) -> Result<u64> {
        let refused = match &rows {
            Rows::Tape(tape) => tape.invalid(),
            Rows::Columns(columns) => columns.iter().find_map(|column| refuse(column)),
        };
        if let Some(fault) = refused {
            return Err(fault.of_statement(&text));
        }
        let call = self.call(&text, &[])?;
        let result = match (self.way(), rows) {
            (Ok(Way::Sqlite(sqlite, ctx, _)), Rows::Tape(tape)) => {
                sqlite.insert_many(ctx, text.clone(), tape).await
            }
            (Ok(Way::SqliteTx(session)), Rows::Tape(tape)) => {
                let text = text.clone();
                session.run(move |conn| conn.insert_many(text.sql(Engine::Sqlite), &tape)).await
            }
            (Ok(Way::Postgres(fleet, ctx, _)), Rows::Columns(columns)) => {
                fleet.execute(ctx, &text, &lists(types, columns)).await
            }
            (Ok(Way::PostgresTx(session)), Rows::Columns(columns)) => {
                session.execute(&text, &lists(types, columns)).await
            }
            (Ok(_), _) => Err(Fault::Statement { why: "the rows are in the other engine's form".to_owned() }),
            (Err(fault), _) => Err(fault),
        };
        call.end(&text, result, |rows| *rows)
    }

    /// Copies rows into a table, a chunk at a time, on Postgres and in a transaction.
    pub(crate) async fn copy(
        &self,
        text: Text,
        types: &'static [Type],
        chunk: impl FnMut() -> Vec<Value>,
    ) -> Result<u64> {
        let call = self.call(&text, &[])?;
        let result = match self.way() {
            Ok(Way::PostgresTx(session)) => session.copy(&text, types, chunk).await,
            Ok(_) => Err(Fault::Statement { why: "only a transaction on Postgres copies".to_owned() }),
            Err(fault) => Err(fault),
        };
        call.end(&text, result, |rows| *rows)
    }

    /// Where the statement really goes.
    fn way(&self) -> Result<Way<'_>, Fault> {
        Ok(match self {
            Target::Alone(db, ctx, aim) => match &db.0.engine {
                EngineOf::Sqlite(sqlite) => Way::Sqlite(sqlite, ctx, aim.class()),
                EngineOf::Postgres(fleet) => Way::Postgres(fleet, ctx, aim.class()),
            },
            Target::Within(tx) => match tx.session()? {
                Session::Sqlite(session) => Way::SqliteTx(session),
                Session::Postgres(session) => Way::PostgresTx(session),
            },
        })
    }

    /// Begins a statement: refuses what cannot be sent, starts the watch.
    fn call(&self, text: &Text, params: &[Value]) -> Result<Call<'_>> {
        let db = match self {
            Target::Alone(db, ..) => *db,
            Target::Within(tx) => tx.db(),
        };
        let nested = match self {
            Target::Alone(_, _, Aim::Write) => db.refuse_nested(),
            _ => None,
        };
        match refuse(params).or(nested) {
            Some(fault) => Err(fault.of_statement(text)),
            None => Ok(Call { timed: db.0.meters.start(text), target: self }),
        }
    }
}

/// The four ways a statement can go.
enum Way<'a> {
    Sqlite(&'a Sqlite, &'a Ctx, Class),
    SqliteTx(&'a sqlite::Session),
    Postgres(&'a postgres::Fleet, &'a Ctx, Class),
    PostgresTx(&'a postgres::Session),
}

/// A statement under way.
struct Call<'a> {
    timed: Timed<'a>,
    target: &'a Target<'a>,
}

impl Call<'_> {
    /// Counts, and names the statement in the error. In a transaction a failure is the transaction's.
    fn end<T>(self, text: &Text, result: Result<T, Fault>, rows: impl FnOnce(&T) -> u64) -> Result<T> {
        self.timed.end(result.as_ref().map(rows));
        result.map_err(|fault| {
            if let Target::Within(tx) = self.target {
                tx.fail(text, &fault);
            }
            fault.of_statement(text)
        })
    }
}

/// A reading statement on a writing handle still goes to the readers on SQLite: there is one file.
fn class_of(handle: Class, text: &Text) -> Class {
    match text.class() {
        Class::Read => Class::Read,
        Class::Write => handle,
    }
}

/// One parameter per column.
fn lists(types: &'static [Type], columns: Vec<Vec<Value>>) -> Vec<Value> {
    types.iter().zip(columns).map(|(of, column)| Value::List(*of, column)).collect()
}

fn refuse(params: &[Value]) -> Option<Fault> {
    params.iter().find_map(|value| match value {
        Value::Invalid(why) => Some(Fault::Parameter { why: why.clone() }),
        Value::List(_, items) => refuse(items),
        _ => None,
    })
}
