//! Whether somebody stands between us and the server who hands our transactions to whichever of his connections is free.
//!
//! A transaction pooler (PgBouncer, PgDog and others in that mode) keeps nothing of a session from one transaction to
//! the next: no prepared statement, no `set`, no advisory lock, no `listen`. It does not say that it is there, and looks
//! like Postgres in every word; but it cannot hide that two of its clients come out of the same server process.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// What stands between the program and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooler {
    /// To be found out at the first connection, with two of them and three round trips.
    #[default]
    Auto,
    /// Nothing, or a pooler in session mode: a session is ours from its beginning to its end.
    None,
    /// A pooler in transaction mode: each transaction, and each statement alone, may run on another of its connections.
    Transaction,
}

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sessions {
    /// A session lasts as long as its connection.
    Ours,
    /// Nothing lasts beyond a transaction.
    Pooled,
}

/// How often it is tried: other clients of a busy pooler may take the process that would give it away.
const ROUNDS: usize = 3;

/// Finds out by two fresh connections.
///
/// A server process belongs to one session. So when `b`, inside a transaction, sits in the process that answered `a` a
/// moment ago, or `a` finds itself in another than before, their processes are lent to them.
pub(super) async fn detect(a: &Client, b: &Client) -> Result<Sessions, Error> {
    for _ in 0..ROUNDS {
        let before = process(a, "select pg_backend_pid()").await?;
        let other = process(b, "begin; select pg_backend_pid()").await?;
        let after = process(a, "select pg_backend_pid()").await;
        b.batch_execute("rollback").await?;
        if other == before || after? != before {
            return Ok(Sessions::Pooled);
        }
    }
    Ok(Sessions::Ours)
}

async fn process(client: &Client, ask: &str) -> Result<Option<String>, Error> {
    let answer = client.simple_query(ask).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooler::Auto => "auto",
            Pooler::None => "none",
            Pooler::Transaction => "transaction",
        })
    }
}
