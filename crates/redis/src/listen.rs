//! Publish and subscribe: tells something to whoever listens at this moment.
//!
//! What this is: one connection of its own that hears a channel and speaks on it. What it is not: a queue. What is said
//! while nobody listens is gone, and a connection that breaks does not tell what it missed; who needs to know numbers
//! its messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_core::{Ctx, Result};
use burgeon_runtime::Task;
use bytes::Bytes;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::exchange;
use crate::fault::Failure;
use crate::{Fault, Redis};

/// How many messages wait to be taken. What does not fit is dropped and told.
const WAITING: usize = 4_096;

/// Hears what is said on one channel, on a connection of its own.
pub struct Listener {
    heard: mpsc::Receiver<Bytes>,
    missed: Arc<AtomicU64>,
    _driving: Arc<Driving>,
}

/// Says something on the same channel, over the same connection.
pub struct Publisher {
    channel: String,
    patience: Duration,
    driving: Arc<Driving>,
}

/// What a [`Listener`] heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What somebody said, this process included.
    Said(Bytes),
    /// So many were dropped, because they came faster than they were taken.
    Missed(u64),
}

/// The connection and what moves its bytes, which ends by itself once nobody holds the wire. Dropped, it ends at once.
struct Driving {
    wire: MultiplexedConnection,
    driver: Task<()>,
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Redis {
    /// Listens on `channel`, on a connection that belongs to nobody else; once this returns, whatever is said is heard.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when there is no server, or it does not answer within [`Config::connect_timeout`](crate::Config)
    /// or the context's deadline; [`Fault::Answered`] when the user may not listen there.
    pub async fn listen(&self, ctx: &Ctx, channel: &str) -> Result<(Listener, Publisher)> {
        let away = |why: String| Fault::Unavailable { why }.into_error();
        let patience = self.0.config.connect_timeout;
        let own = Instant::now() + patience;
        let until = ctx.deadline().map_or(own, |caller| own.min(Instant::from_std(caller.instant())));
        let opening = async {
            let (sender, heard) = mpsc::channel(WAITING);
            let (missed, unheard) = (Arc::new(AtomicU64::new(0)), self.0.meters.unheard.clone());
            let counted = missed.clone();
            let take = move |push: PushInfo| {
                let Some(message) = message(push) else { return Ok::<(), SendError>(()) };
                if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(message) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    unheard.increment();
                }
                Ok(())
            };
            let (mut wire, driver) = self.0.dial.open(take).await.map_err(away)?;
            let driver = self.0.tasks.spawn("redis.listener", driver);
            let driving = Arc::new(Driving { wire: wire.clone(), driver });
            wire.subscribe(channel).await.map_err(|error| {
                Failure::of(&error).into_fault(crate::command::Effect::Reads).into_error()
            })?;
            let listener = Listener { heard, missed, _driving: driving.clone() };
            let patience = self.0.config.response_timeout;
            Ok((listener, Publisher { channel: channel.to_owned(), patience, driving }))
        };
        timeout_at(until, opening)
            .await
            .unwrap_or_else(|_| Err(away(format!("{} did not answer in time", self.address()))))
    }
}

impl Listener {
    /// The next thing said. Cancel-safe.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] once the connection has ended. What was said since is lost: listen anew.
    pub async fn hear(&mut self) -> Result<Heard> {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            return Ok(Heard::Missed(missed));
        }
        match self.heard.recv().await {
            Some(message) => Ok(Heard::Said(message)),
            None => {
                Err(Fault::Unavailable { why: "the connection that listens has ended".to_owned() }
                    .into_error())
            }
        }
    }
}

impl Publisher {
    /// Says it.
    ///
    /// # Errors
    /// [`Fault::OutcomeUnknown`] when the server has not said within [`Config::response_timeout`](crate::Config) that it heard.
    pub async fn say(&self, message: &[u8]) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(message);
        let mut wire = self.driving.wire.clone();
        let failure = match timeout(self.patience, exchange(&mut wire, &command)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => Failure::of(&error),
            Err(_) => Failure::Late(self.patience),
        };
        Err(failure.into_fault(crate::command::Effect::Writes).into_error())
    }
}

/// What was said, if that is what the server tells.
fn message(push: PushInfo) -> Option<Bytes> {
    match (push.kind, push.data.into_iter().nth(1)) {
        (PushKind::Message, Some(redis::Value::BulkString(message))) => Some(message.into()),
        _ => None,
    }
}
