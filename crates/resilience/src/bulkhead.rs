//! A bulkhead: so many at once and no more, so that one slow dependency cannot take every task there is.
//!
//! ```text
//!  route A  ==[ 1,024 ]==>  slow payment service        full: wait for a bounded time, then refuse
//!  route B  ==[ 1,024 ]==>  search                      not touched by A
//! ```
//!
//! What this is: a counting semaphore per route or upstream (Nygard, "Release It!"); tokio's, which is fair and cancel-safe. What
//! it is not: the limit that protects this process; that adapts ([`crate`]'s adaptive limit) and this one is a wall.
//!
//! # Invariants
//! - Never more permits than [`Config::limit`]; each comes back when it is dropped.
//! - A wait is bounded by [`Config::wait`] and by the caller's deadline: whoever waits is handed [`Bulkhead::until`] and a timer.
//!
//! # When not to use it
//! As a throttle: a limit of ten on calls of one second is ten a second only while they take a second. Use [`rate`](crate::rate).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Instant, Refused, Why};

/// The numbers of a bulkhead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many at once. Default 1,024: above what a healthy service has in flight, below what memory and sockets can bear.
    pub limit: usize,

    /// How long to wait for a place. Default `0s`: refuse at once. A wait only helps against bursts shorter than itself.
    #[serde(with = "burgeon_core::units::duration")]
    pub wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { limit: 1_024, wait: Duration::ZERO }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.limit == 0 || self.limit > Semaphore::MAX_PERMITS {
            return Err(format!(
                "bulkhead.limit is {}, and must be 1 to {}",
                self.limit,
                Semaphore::MAX_PERMITS
            ));
        }
        Ok(())
    }
}

/// A bulkhead around one dependency. Clones share it.
///
/// ```
/// use burgeon_resilience::bulkhead::{Bulkhead, Config};
///
/// let bulkhead = Bulkhead::new(Config { limit: 1, ..Config::default() });
/// let permit = bulkhead.admit().unwrap();
/// assert!(bulkhead.admit().is_err());
/// drop(permit);
/// assert!(bulkhead.admit().is_ok());
/// ```
#[derive(Clone)]
pub struct Bulkhead(Arc<Inner>);

struct Inner {
    places: Arc<Semaphore>,
    waiting: AtomicU64,
    refused: AtomicU64,
    config: Config,
}

/// A place inside. Given back when dropped; how the call ended is not a bulkhead's business.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// What a person sees of a bulkhead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// How many may be inside.
    pub limit: usize,
    /// How many are inside.
    pub in_flight: usize,
    /// How many wait.
    pub waiting: u64,
    /// How many were refused since the start.
    pub refused: u64,
}

impl Bulkhead {
    /// An empty one. A limit that [`Config::validate`] refuses is bent to the nearest that works.
    pub fn new(config: Config) -> Self {
        let limit = config.limit.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(limit)),
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            config: Config { limit, ..config },
        }))
    }

    /// A place, if there is one now.
    ///
    /// # Errors
    /// [`Why::Bulkhead`] when it is full, or others wait already.
    pub fn admit(&self) -> Result<Permit, Refused> {
        self.0.places.clone().try_acquire_owned().map(Permit).map_err(|_| self.refuse())
    }

    /// Until when somebody who comes now may wait.
    pub fn until(&self, now: Instant, deadline: Option<Instant>) -> Instant {
        let until = now.plus(self.0.config.wait);
        deadline.map_or(until, |deadline| until.min(deadline))
    }

    /// A place, in order of arrival, or a refusal once `too_late` resolves. Cancel-safe: who is dropped leaves the line.
    ///
    /// # Errors
    /// [`Why::Bulkhead`] when it is too late.
    pub async fn wait(&self, too_late: impl Future<Output = ()>) -> Result<Permit, Refused> {
        if let Ok(permit) = self.0.places.clone().try_acquire_owned() {
            return Ok(Permit(permit));
        }
        let _waiting = Waiting::among(&self.0.waiting);
        let mut place = std::pin::pin!(self.0.places.clone().acquire_owned());
        let mut too_late = std::pin::pin!(too_late);
        std::future::poll_fn(|cx| {
            use std::task::Poll;
            // The place first: who is given one in the last moment has it.
            if let Poll::Ready(Ok(permit)) = place.as_mut().poll(cx) {
                return Poll::Ready(Ok(Permit(permit)));
            }
            too_late.as_mut().poll(cx).map(|()| Err(self.refuse()))
        })
        .await
    }

    /// What a person sees.
    pub fn view(&self) -> View {
        View {
            limit: self.0.config.limit,
            in_flight: self.0.config.limit.saturating_sub(self.0.places.available_permits()),
            waiting: self.0.waiting.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    fn refuse(&self) -> Refused {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Refused::new(Why::Bulkhead)
    }
}

struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn among(all: &'a AtomicU64) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("view", &self.view()).finish()
    }
}
