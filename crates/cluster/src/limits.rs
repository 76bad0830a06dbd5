//! Rate limits that all nodes share.
//!
//! What this is: the generic cell rate algorithm (ITU-T I.371, 1996), one row or Redis key per key in use, one statement or
//! script per decision, on the clock of the database or of Redis. What it is not: protection of this process (that is the
//! adaptive limit and the queue in front of it), or free: a decision is a write. A limit that need not hold across nodes is
//! [`burgeon_resilience::rate`].
//!
//! # Invariants
//! - In any time `t` a key gets at most `burst + t * limit / per`, on all nodes together.
//! - A refusal changes nothing.
//! - A key whose allowance is whole again has no row for long, and no Redis key at all.
//! - A clock that was set back never locks a key: what lies further ahead than a whole burst is taken for whole.
//!
//! # When it breaks
//! A decision that is not made within [`Config::patience`] is made as [`Config::when_lost`] says: this node allows its share of
//! the limit, or refuses. Either shows in `limit_decisions_total`, and an allowance in [`Allowed::is_local`]. A Redis that is
//! lost and comes back empty, or a replica that is promoted before it has heard of the last decisions, lets a key burst once
//! more.

#[cfg(feature = "redis")]
mod in_redis;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error, Result, units};
use burgeon_db::{Db, sql};
use burgeon_meter::{Counter, Meters};
use burgeon_resilience::Clock;
use burgeon_resilience::rate::{self, Limiter};
use burgeon_runtime::{Restart, Tasks};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::members::Members;

/// How often rows that are whole again are removed, and how many at once.
const SWEEP: Duration = Duration::from_secs(30);
const SWEPT: i64 = 10_000;

/// A limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many per `per`. Default 100.
    pub limit: u32,
    /// Default 1 min.
    #[serde(with = "units::duration")]
    pub per: Duration,
    /// How many at once. Default 0: as many as `limit`.
    pub burst: u32,
    /// How long the database or Redis may take before it counts as lost. Default 50 ms: a limit must not cost more than what
    /// it protects.
    #[serde(with = "units::duration")]
    pub patience: Duration,
    /// What happens when it is lost. Default `share`.
    pub when_lost: WhenLost,
}

/// What a node does with a request on which the shared limit cannot be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenLost {
    /// It decides alone, and allows its share: with three members a third of the limit.
    #[default]
    Share,
    /// It refuses, with [`Kind::Unavailable`](burgeon_core::Kind::Unavailable): for what must never be exceeded, such as
    /// attempts to sign in.
    Refuse,
}

/// Where limits are kept, as it is written in a configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A table of the application's own database.
    #[default]
    Database,
    /// Redis.
    Redis,
}

/// Where limits are kept.
#[derive(Clone)]
pub enum Store {
    /// In the application's own database. The [migrations](crate::migrations) must have run.
    Database(Db),
    /// In Redis, which is cheaper and forgets more easily.
    #[cfg(feature = "redis")]
    Redis(burgeon_redis::Redis),
}

/// Makes limits that all nodes share. Cloning shares it.
#[derive(Clone)]
pub struct Limits {
    store: Store,
    members: Option<Members>,
    meters: Meters,
}

/// Keeps one limit, by key. Cloning shares it.
#[derive(Clone)]
pub struct Limit {
    store: Store,
    name: Cow<'static, str>,
    members: Option<Members>,
    /// What a request moves the key's clock by, and how far it may be ahead, in microseconds.
    each: i64,
    burst: i64,
    patience: Duration,
    when_lost: WhenLost,
    local: Limiter,
    clock: Clock,
    meters: LimitMeters,
}

/// Yes, or no and for how long; without a time no wait helps.
type Decision = std::result::Result<Allowed, Option<Duration>>;

#[derive(Clone)]
struct LimitMeters {
    allowed: Counter,
    refused: Counter,
    alone: Counter,
    lost: Counter,
}

/// What a decision says when it is yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many more would be allowed at once.
    pub remaining: u32,
    /// After how long the allowance is whole again.
    pub reset: Duration,
    /// Whether this node decided alone, because nobody else did in time.
    pub is_local: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limit: 100,
            per: Duration::from_secs(60),
            burst: 0,
            patience: Duration::from_millis(50),
            when_lost: WhenLost::Share,
        }
    }
}

impl Config {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> std::result::Result<(), String> {
        self.alone().validate()?;
        if self.per.as_micros() < u128::from(self.limit) {
            return Err(
                "rate.limit is more than one per microsecond; a shared limit is not that fine".to_owned()
            );
        }
        if self.patience.is_zero() {
            return Err("rate.patience is 0, so every node would decide alone; write 50ms".to_owned());
        }
        Ok(())
    }

    fn alone(&self) -> rate::Config {
        rate::Config { limit: self.limit, per: self.per, burst: self.burst, ..rate::Config::default() }
    }
}

impl Place {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Redis => "redis",
        }
    }
}

impl From<&Db> for Store {
    fn from(db: &Db) -> Self {
        Store::Database(db.clone())
    }
}

#[cfg(feature = "redis")]
impl From<&burgeon_redis::Redis> for Store {
    fn from(redis: &burgeon_redis::Redis) -> Self {
        Store::Redis(redis.clone())
    }
}

impl Limits {
    /// Limits that are kept in `store`: a `&Db`, or a `&Redis`. With members, a node that must decide alone allows its share.
    pub fn new(store: impl Into<Store>, members: Option<Members>, meters: &Meters) -> Self {
        Self { store: store.into(), members, meters: meters.clone() }
    }

    /// A limit called `name`, which is part of its keys: the same on all nodes.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration makes no sense.
    pub fn named(&self, name: impl Into<Cow<'static, str>>, config: &Config) -> Result<Limit> {
        config.validate().map_err(Error::invalid)?;
        let name = name.into();
        // Rounded up, because a limit is a promise of at most.
        let each = config.per.as_micros().div_ceil(u128::from(config.limit)) as i64;
        let burst = if config.burst == 0 { config.limit } else { config.burst };
        let counter = |decision| {
            self.meters.counter(
                "limit_decisions_total",
                "Decisions of a shared rate limit.",
                &[("limit", &*name), ("decision", decision)],
            )
        };
        Ok(Limit {
            meters: LimitMeters {
                allowed: counter("allowed"),
                refused: counter("refused"),
                alone: counter("decided_alone"),
                lost: counter("refused_lost"),
            },
            store: self.store.clone(),
            members: self.members.clone(),
            each,
            burst: each.saturating_mul(i64::from(burst)),
            patience: config.patience,
            when_lost: config.when_lost,
            local: Limiter::new(config.alone()),
            clock: Clock::starting_at(Instant::now().into_std()),
            name,
        })
    }
}

impl Limit {
    /// Whether `key` may do something that costs `cost` of its allowance.
    ///
    /// # Errors
    /// [`Kind::TooMany`](burgeon_core::Kind::TooMany), with how long to wait, when it may not. With
    /// [`WhenLost::Refuse`], [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when nobody can tell.
    pub async fn take(&self, ctx: &Ctx, key: &str, cost: u32) -> Result<Allowed> {
        let price = self.each.saturating_mul(i64::from(cost));
        let decided = match price > self.burst {
            true => Ok(Err(None)),
            false => {
                let deadline = Deadline::after(Instant::now().into_std(), self.patience);
                let ctx = ctx.with_deadline(deadline);
                timeout(self.patience, self.ask(&ctx, key, price))
                    .await
                    .unwrap_or_else(|_| Err(Error::unavailable("a shared limit did not decide in time")))
            }
        };
        let decision = match decided {
            Ok(decision) => decision,
            Err(error) if self.when_lost == WhenLost::Refuse => {
                self.meters.lost.increment();
                let sentence = "this cannot be allowed at the moment, because nobody can tell how often it was; try again shortly";
                return Err(Error::unavailable(sentence)
                    .with_retry_after(Duration::from_secs(1))
                    .with_source(error));
            }
            Err(error) => {
                tracing::debug!(limit = &*self.name, error = error.detail(), "decided alone");
                self.meters.alone.increment();
                self.decide_alone(key, cost)
            }
        };
        match decision {
            Ok(allowed) => {
                self.meters.allowed.increment();
                Ok(allowed)
            }
            Err(after) => {
                self.meters.refused.increment();
                let error = Error::too_many("too many requests: wait, or ask for a higher limit");
                Err(match after {
                    Some(after) => error.with_retry_after(after),
                    // It costs more than the whole allowance: no wait helps.
                    None => error,
                })
            }
        }
    }

    /// Yes, or no and for how long.
    async fn ask(&self, ctx: &Ctx, key: &str, price: i64) -> Result<Decision> {
        let key = format!("{}:{key}", self.name);
        match &self.store {
            Store::Database(db) => self.ask_database(db, ctx, key, price).await,
            #[cfg(feature = "redis")]
            Store::Redis(redis) => {
                let answer = in_redis::ask(redis, ctx, &key, price, self.burst).await?;
                Ok(answer.map(|ahead| self.allowed(ahead)).map_err(Some))
            }
        }
    }

    async fn ask_database(&self, db: &Db, ctx: &Ctx, key: String, price: i64) -> Result<Decision> {
        let write = db.write(ctx);
        // What lies further ahead than a burst was written before the clock was set back.
        let ahead: Option<i64> = sql!(
            "take_from_limit",
            sqlite: "insert into burgeon_limit (key, tat)
                     values ($1, cast(unixepoch('subsec') * 1000000 as integer) + $2)
                     on conflict (key) do update
                     set tat = case when burgeon_limit.tat > excluded.tat - $2 + $3 then excluded.tat
                               else max(burgeon_limit.tat, excluded.tat - $2) + $2 end
                     where max(burgeon_limit.tat - (excluded.tat - $2), 0) + $2 <= $3
                     or burgeon_limit.tat > excluded.tat - $2 + $3
                     returning tat - cast(unixepoch('subsec') * 1000000 as integer)",
            postgres: "insert into burgeon_limit (key, tat)
                       values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint + $2)
                       on conflict (key) do update
                       set tat = case when burgeon_limit.tat > excluded.tat - $2 + $3 then excluded.tat
                                 else greatest(burgeon_limit.tat, excluded.tat - $2) + $2 end
                       where greatest(burgeon_limit.tat - (excluded.tat - $2), 0) + $2 <= $3
                       or burgeon_limit.tat > excluded.tat - $2 + $3
                       returning tat - (extract(epoch from clock_timestamp()) * 1000000)::bigint",
            key.clone(),
            price,
            self.burst
        )
        .optional(&write)
        .await?;
        if let Some(ahead) = ahead {
            return Ok(Ok(self.allowed(ahead)));
        }
        let ahead: Option<i64> = sql!(
            "state_of_limit",
            sqlite: "select tat - cast(unixepoch('subsec') * 1000000 as integer) from burgeon_limit where key = $1",
            postgres: "select tat - (extract(epoch from clock_timestamp()) * 1000000)::bigint from burgeon_limit where key = $1",
            key
        )
        .optional(&write)
        .await?;
        let wait = ahead.unwrap_or(0).saturating_add(price).saturating_sub(self.burst).max(0);
        Ok(Err(Some(Duration::from_micros(wait.unsigned_abs()))))
    }

    /// The key's clock is that far ahead, in microseconds.
    fn allowed(&self, ahead: i64) -> Allowed {
        let ahead = ahead.clamp(0, self.burst);
        Allowed {
            remaining: u32::try_from((self.burst - ahead) / self.each).unwrap_or(u32::MAX),
            reset: Duration::from_micros(ahead.unsigned_abs()),
            is_local: false,
        }
    }

    /// This node's share: with three members every request costs it three.
    fn decide_alone(&self, key: &str, cost: u32) -> Decision {
        let nodes = self.members.as_ref().map_or(1, |members| members.alive().len().max(1));
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        let cost = cost.saturating_mul(nodes);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let now = self.clock.at(Instant::now().into_std());
        let allowed = self.local.admit(now, hasher.finish(), cost).map_err(|refused| refused.after)?;
        Ok(Allowed { remaining: allowed.remaining / nodes, reset: allowed.reset, is_local: true })
    }
}

/// Removes what is whole again, of all limits, until `tasks` stop. One of these per node is enough, and harmless.
pub fn sweep(db: &Db, tasks: &Tasks) {
    let (db, stopping) = (db.clone(), tasks.stopping());
    drop(tasks.supervise("cluster.limits", Restart::default(), move || {
        let (db, stopping) = (db.clone(), stopping.clone());
        async move {
            let mut turns = interval(SWEEP);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = turns.tick() => drop(sweep_once(&db).await?),
                    () = stopping.cancelled() => return Ok(()),
                }
            }
        }
    }));
}

/// One turn of [`sweep`]; answers how many rows it removed, at most 10,000.
///
/// # Errors
/// Whatever befell the database.
pub async fn sweep_once(db: &Db) -> Result<u64> {
    let ctx =
        Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), Duration::from_secs(10)));
    sql!(
        "sweep_limits",
        sqlite: "delete from burgeon_limit where key in
                 (select key from burgeon_limit where tat < cast(unixepoch('subsec') * 1000000 as integer) limit $1)",
        postgres: "delete from burgeon_limit where key in
                   (select key from burgeon_limit
                    where tat < (extract(epoch from clock_timestamp()) * 1000000)::bigint limit $1 for update skip locked)",
        SWEPT
    )
    .execute(&db.write(&ctx))
    .await
}
