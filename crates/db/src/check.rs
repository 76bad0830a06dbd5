//! Whether the program's statements and the database's tables fit together: every statement prepared, none run.

use burgeon_core::{Ctx, Result};
use tokio_postgres::error::SqlState;

use crate::db::EngineOf;
use crate::stmt::{Class, Place};
use crate::{Db, Engine, Fault, STATEMENTS, Stmt};

/// A statement that the database does not understand.
#[derive(Debug)]
pub struct Unprepared {
    /// Which.
    pub statement: &'static Stmt,
    /// What the engine said.
    pub fault: Fault,
}

/// Where this is asked, for errors.
const PLACE: Place = Place { file: file!(), line: line!() };

impl Db {
    /// Prepares every statement of the program that `wanted` picks, and answers those that cannot be: a table or column
    /// that is not there, a word that the other engine lacks. Changes nothing.
    ///
    /// For a test, on each engine: `wanted` leaves out what tests themselves declare, by
    /// [`Place::file`](crate::Place).
    ///
    /// # Errors
    /// Whatever befell the connection.
    pub async fn unprepared(&self, ctx: &Ctx, wanted: impl Fn(&Stmt) -> bool) -> Result<Vec<Unprepared>> {
        let wanted: Vec<&'static Stmt> = STATEMENTS.iter().filter(|stmt| wanted(stmt)).collect();
        let refused = match &self.0.engine {
            EngineOf::Sqlite(sqlite) => {
                let deadline = crate::clock::deadline(ctx, self.0.config.transaction_timeout);
                let session =
                    sqlite.begin(ctx, deadline, PLACE, Class::Read).await.map_err(Fault::into_error)?;
                let prepare = session.run(move |conn| {
                    let refused = wanted.into_iter().filter_map(|statement| {
                        let fault = conn.prepares(statement.sql(Engine::Sqlite)).err()?;
                        Some(Unprepared { statement, fault })
                    });
                    Ok(refused.collect())
                });
                prepare.await
            }
            EngineOf::Postgres(_) => on_postgres(self, wanted).await,
        };
        refused.map_err(Fault::into_error)
    }
}

async fn on_postgres(db: &Db, wanted: Vec<&'static Stmt>) -> Result<Vec<Unprepared>, Fault> {
    let connection = db.direct().await?;
    let mut refused = Vec::new();
    for statement in wanted {
        let Err(error) = connection.client().prepare(statement.sql(Engine::Postgres)).await else { continue };
        let Some(answer) = error.as_db_error() else {
            return Err(Fault::Unavailable { why: error.to_string() });
        };
        // Nothing says of which type a parameter is but the value, which there is none of here.
        let untyped =
            [SqlState::INDETERMINATE_DATATYPE, SqlState::AMBIGUOUS_FUNCTION, SqlState::AMBIGUOUS_PARAMETER];
        if !untyped.contains(answer.code()) {
            refused.push(Unprepared {
                statement,
                fault: Fault::Statement { why: crate::postgres::words(answer) },
            });
        }
    }
    Ok(refused)
}
