//! Postgres's own way to tell other processes something: `listen` and `notify`.
//!
//! What this is: one connection of its own that hears a channel and speaks on it. What it is not: a queue. What is said
//! while nobody listens is gone, and a connection that breaks does not tell what it missed; who needs to know numbers
//! its messages.
//!
//! Never notify inside a transaction that does other work: the server serialises the commits of all transactions that
//! notify (measured here: a seventh of the commits per second).

use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use tokio::time::{Instant, timeout_at};

use crate::db::EngineOf;
use crate::postgres::Exchange;
use crate::{Db, Fault, clock};

/// How long saying something may take; it is one round trip.
const SAYING: Duration = Duration::from_secs(5);

/// Hears what is said on one channel, on a connection of its own.
pub struct Listener(Exchange);

/// Says something on the same channel, over the same connection.
pub struct Notifier(Exchange);

/// What a [`Listener`] heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What somebody said, this process included.
    Said(String),
    /// So many were dropped, because they came faster than they were taken.
    Missed(u64),
}

impl Db {
    /// Listens on `channel`, on a connection to the primary that belongs to nobody else.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) on SQLite, whose only process has no other to talk to;
    /// [`Fault::Unavailable`] without a server, and behind a pooler that lends connections for a transaction only.
    pub async fn listen(&self, ctx: &Ctx, channel: &str) -> Result<(Listener, Notifier)> {
        let until = Instant::from_std(clock::deadline(ctx, self.0.config.statement_timeout).instant());
        let exchange = match &self.0.engine {
            EngineOf::Sqlite(_) => {
                return Err(Error::internal(
                    "SQLite has no notifications: its one process has nobody to tell",
                ));
            }
            EngineOf::Postgres(fleet) => {
                let primary = fleet.primary_pool(ctx).await.map_err(Fault::into_error)?;
                primary.exchange(channel, until).await.map_err(Fault::into_error)?
            }
        };
        Ok((Listener(exchange.clone()), Notifier(exchange)))
    }
}

impl Listener {
    /// The next thing said. Cancel-safe.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] once the connection has ended. What was said since is lost: listen anew.
    pub async fn hear(&mut self) -> Result<Heard> {
        self.0.hear().await.ok_or_else(|| ended("the connection that listens has ended"))
    }
}

impl Notifier {
    /// Says it. The server takes fewer than 8,000 bytes at once.
    ///
    /// # Errors
    /// Why it could not be said; [`Fault::Unavailable`] after 5 s without an answer.
    pub async fn say(&self, payload: &str) -> Result<()> {
        match timeout_at(Instant::now() + SAYING, self.0.say(payload)).await {
            Ok(said) => said.map_err(Fault::into_error),
            Err(_) => Err(ended("a notification was not answered within 5 s")),
        }
    }
}

fn ended(why: &str) -> Error {
    Fault::Unavailable { why: why.to_owned() }.into_error()
}
