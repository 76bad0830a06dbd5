//! Keeps one connection open: opens it, listens whether its server is still there and still the primary, opens it again.

use std::sync::Arc;

use burgeon_core::{Cancel, Result};
use burgeon_resilience::backoff::Backoff;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::connection::{Opened, introduced};
use crate::redis::{Connection, Link, Shared};
use crate::server::Server;

/// A server that is back is found within this, and not by all processes at once.
const BACKOFF: Backoff =
    Backoff { base: std::time::Duration::from_millis(50), cap: std::time::Duration::from_secs(1) };

/// Runs until `stopping`.
pub(crate) async fn keep(shared: Arc<Shared>, stopping: Cancel) -> Result<()> {
    let mut failures = 0;
    loop {
        let opened = tokio::select! {
            opened = shared.dial.primary() => opened,
            () = stopping.cancelled() => break,
        };
        let why = match opened {
            Ok(opened) => {
                let since = Instant::now();
                let why = tokio::select! {
                    why = watch_over(&shared, opened) => why,
                    () = stopping.cancelled() => break,
                };
                shared.meters.broke.increment();
                // A connection that opens and breaks at once is no better than one that does not open.
                if since.elapsed() > 3 * shared.config.heartbeat {
                    failures = 0;
                }
                why
            }
            Err(why) => why,
        };
        shared.away(&why);
        let pause = BACKOFF.delay(failures, shared.dice.roll());
        failures = failures.saturating_add(1);
        tokio::select! {
            () = sleep(pause) => {}
            () = stopping.cancelled() => break,
        }
    }
    shared.away("this process is stopping");
    Ok(())
}

/// Lets callers use the connection until it is of no use any more, and answers why.
async fn watch_over(shared: &Shared, opened: Opened) -> String {
    let Opened { wire, mut driver, server } = opened;
    let connection = Arc::new(Connection::new(wire.clone(), server.clone()));
    shared.connected(&connection);
    let mut beat = interval_at(Instant::now() + shared.config.heartbeat, shared.config.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut driver => return format!("{} closed the connection", shared.dial.target.address),
            _ = beat.tick() => {}
            () = connection.suspected() => {}
        }
        let asking = timeout(shared.config.response_timeout, still_there(wire.clone(), server.as_ref()));
        tokio::select! {
            biased;
            () = &mut driver => return format!("{} closed the connection", shared.dial.target.address),
            answered = asking => match answered {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return why,
                Err(_) => {
                    return format!(
                        "{} has not answered for {:?}",
                        shared.dial.target.address, shared.config.response_timeout
                    );
                }
            }
        }
    }
}

/// Whether it answers, and is who it was: the same start, the same history, still the primary.
async fn still_there(mut wire: MultiplexedConnection, before: Option<&Server>) -> Result<(), String> {
    match (introduced(&mut wire).await?, before) {
        (Some(now), _) if !now.is_primary => Err("it is not the primary any more".to_owned()),
        (Some(now), Some(before)) if !now.continues(before) => {
            Err("it has another history than when it was greeted".to_owned())
        }
        _ => Ok(()),
    }
}

impl Shared {
    /// The generation first: who is answered by this server must be able to know that it is another one.
    fn connected(&self, connection: &Arc<Connection>) {
        self.meters.connected.increment();
        let is_known = {
            let mut last = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let is_known = match (&*last, &connection.server) {
                (Some(before), Some(now)) => now.continues(before),
                _ => false,
            };
            (*last).clone_from(&connection.server);
            is_known
        };
        if !is_known {
            self.generation.send_modify(|generation| *generation += 1);
            self.meters.generation.set(*self.generation.borrow() as i64);
        }
        tracing::info!(
            server = %self.dial.target.address,
            version = connection.server.as_ref().map(|server| &*server.version),
            is_new = !is_known,
            "connected to Redis"
        );
        self.meters.state.set(0);
        self.link.send_replace(Link::Up(connection.clone()));
    }

    fn away(&self, why: &str) {
        self.meters.state.set(2);
        let before = self.link.send_replace(Link::Away(why.into()));
        // Once for each outage, not for each try.
        if !matches!(before, Link::Away(_)) {
            tracing::warn!(why, "not connected to Redis; it is tried again until it is there");
        }
    }
}
