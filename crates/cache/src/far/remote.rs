//! The way to the store, which all caches of an application share: its breaker, its time limits, and what may be loaded while
//! it is closed.

use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Kind, Result};
use burgeon_resilience::breaker::{self, Breaker};
use burgeon_resilience::bulkhead::{self, Bulkhead};
use burgeon_resilience::random::Dice;
use burgeon_resilience::{Clock, Outcome, Refused, Why};
use foldhash::quality::RandomState;
use std::hash::BuildHasher;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::Config;
use super::store::Store;

/// Shared by all caches of one [`Caches`](crate::Caches).
pub(crate) struct Remote {
    pub(crate) store: Store,
    /// The first part of every name there.
    pub(crate) application: String,
    breaker: Breaker,
    clock: Clock,
    dice: Dice,
    places: Bulkhead,
    wait: Duration,
    /// This process, in claims.
    pub(crate) holder: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// It was not asked: it has failed too often just now.
    Refused,
    /// It was asked, and failed or took too long.
    Failed(String),
}

/// How many may wait for a place to load.
const LINE: u64 = 1_024;

impl Remote {
    pub(crate) fn new(store: Store, application: String, config: &Config) -> Self {
        let random = RandomState::default();
        Self {
            store,
            application,
            breaker: Breaker::new(breaker_config(config)),
            clock: Clock::starting_at(Instant::now().into_std()),
            dice: Dice::seeded(random.hash_one("breaker")),
            places: Bulkhead::new(bulkhead::Config {
                limit: config.loads_when_down,
                wait: config.wait_when_down,
            }),
            wait: config.wait_when_down,
            holder: random.hash_one("holder"),
        }
    }

    /// Asks the store, unless the breaker is open, and waits at most `limit`. What takes longer than `slow` is slow to the breaker.
    pub(crate) async fn call<T>(
        &self,
        limit: Duration,
        slow: Duration,
        asking: impl Future<Output = Result<T>>,
    ) -> Result<T, Unreached> {
        self.call_at(Instant::now(), limit, slow, asking).await.0
    }

    /// The same, asked at this time. Answers also how long it took.
    pub(crate) async fn call_at<T>(
        &self,
        asked: Instant,
        limit: Duration,
        slow: Duration,
        asking: impl Future<Output = Result<T>>,
    ) -> (Result<T, Unreached>, Duration) {
        let Ok(permit) = self.breaker.admit(self.clock.at(asked.into_std()), self.dice.roll()) else {
            return (Err(Unreached::Refused), Duration::ZERO);
        };
        let ended = ended(asked, limit, asking).await;
        let now = Instant::now();
        let took = now.duration_since(asked);
        let (answer, outcome) = match ended {
            Ok(answer) if took > slow => (Ok(answer), Outcome::Slow),
            Ok(answer) => (Ok(answer), Outcome::Ok),
            Err((why, outcome)) => (Err(Unreached::Failed(why)), outcome),
        };
        permit.settle(self.clock.at(now.into_std()), outcome);
        (answer, took)
    }

    /// The same past the breaker: for what must get through once the store is back, and has pauses of its own.
    pub(crate) async fn insist<T>(
        &self,
        limit: Duration,
        asking: impl Future<Output = Result<T>>,
    ) -> Result<T, String> {
        ended(Instant::now(), limit, asking).await.map_err(|(why, _)| why)
    }

    /// The context of a question that may take so long.
    pub(crate) fn ctx(limit: Duration) -> Ctx {
        Self::ctx_until(Instant::now() + limit)
    }

    /// The same until this time.
    pub(crate) fn ctx_until(end: Instant) -> Ctx {
        Ctx::background().with_deadline(Deadline::after(end.into_std(), Duration::ZERO))
    }

    /// Whether it has failed too often just now.
    pub(crate) fn is_shunned(&self) -> bool {
        self.state() == breaker::State::Open
    }

    pub(crate) fn state(&self) -> breaker::State {
        self.breaker.view(self.now()).state
    }

    /// A place among the loads that may run while the store does not hold them back.
    pub(crate) fn place(&self) -> Result<bulkhead::Permit, Refused> {
        self.places.admit()
    }

    /// The same for who has nothing to fall back on: it waits in a bounded line, for a bounded time.
    pub(crate) async fn wait_for_place(&self) -> Result<bulkhead::Permit, Refused> {
        if self.places.view().waiting >= LINE {
            return Err(Refused::new(Why::Bulkhead));
        }
        self.places.wait(sleep(self.wait)).await
    }

    fn now(&self) -> burgeon_resilience::Instant {
        self.clock.at(Instant::now().into_std())
    }
}

/// Quick to open and quick to try again: what stands behind it (the loader) is whole, and a probe is one short read.
fn breaker_config(config: &Config) -> breaker::Config {
    breaker::Config {
        open: Duration::from_secs(1),
        open_cap: Duration::from_secs(4),
        probe_timeout: config.hard_timeout * 2,
        successes: 2,
        ramp: Duration::ZERO,
        ..breaker::Config::default()
    }
}

/// The answer, or what was wrong and what that says of the store.
async fn ended<T>(
    asked: Instant,
    limit: Duration,
    asking: impl Future<Output = Result<T>>,
) -> Result<T, (String, Outcome)> {
    match timeout_at(asked + limit, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let outcome = match error.kind() {
                Kind::Overloaded | Kind::TooMany => Outcome::Shed,
                _ => Outcome::Fail,
            };
            Err((error.detail(), outcome))
        }
        Err(_) => {
            let limit = burgeon_core::units::format_duration(limit);
            Err((format!("no answer within {limit}"), Outcome::Fail))
        }
    }
}
