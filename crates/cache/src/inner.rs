//! What all handles of one cache share, and the smallest steps: look, keep, measure.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_resilience::random::{Dice, between, unit};
use burgeon_runtime::Tasks;
use tokio::time::Instant;

use crate::far::Tier;
use crate::flight::Channel;
use crate::flights::Flights;
use crate::gathering::Gathering;
use crate::generations::Generations;
use crate::hashes::Hashes;
use crate::loader::Loader;
use crate::meters::CacheMeters;
use crate::near::Near;
use crate::neighbours::Neighbours;
use crate::stored::{Life, Look, Reader, Stored};
use crate::tombstones::{Tombstones, Verdict};
use crate::{Clock, Config};

pub(crate) struct Inner<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) config: Config,
    pub(crate) measure: Measure<K, V>,
    pub(crate) loader: Option<Loader<K, V>>,
    pub(crate) fallback: Option<Arc<V>>,
    pub(crate) near: Near<K, Stored<V>>,
    pub(crate) far: Option<Tier<K, V>>,
    pub(crate) flights: Flights<K, Arc<Channel<V>>>,
    pub(crate) gathering: Gathering<K, V>,
    pub(crate) generations: Generations,
    pub(crate) tombstones: Tombstones,
    pub(crate) meters: CacheMeters,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Clock,
    pub(crate) hashes: Hashes,
    /// One node at a time loads a key, for so long at most.
    pub(crate) once_per_cluster: Option<Duration>,
    /// `None`: no other node has this cache.
    pub(crate) neighbours: Option<Neighbours>,
    pub(crate) dice: Dice,
}

/// What an entry weighs.
pub(crate) enum Measure<K, V> {
    /// One.
    Entries,
    /// What the application says of key and value, and what the cache needs beside them.
    Bytes(Bytes<K, V>),
}

type Bytes<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// What an entry needs beside its key's and value's own memory: entry, table, queues, sketch, ghost.
pub(crate) const OVERHEAD: u64 = 256;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hashes.here(key)
    }

    /// What is there now, to a reader for whom only what was loaded at version `least` or later will do.
    pub(crate) fn look<Q>(&self, hash: u64, key: &Q, least: u64) -> Look<V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let reader = self.reader(least);
        self.near.read(hash, key, |stored| stored.look(reader, &self.tombstones)).unwrap_or(Look::Nothing)
    }

    /// A reader for whom only what was loaded at version `least` or later will do, now.
    pub(crate) fn reader(&self, least: u64) -> Reader {
        let now = self.clock.now();
        Reader { now, version: self.tombstones.now(), least, oldest: self.oldest(now) }
    }

    /// What may be served when nothing better can be had. Asked anew each time: it may have been removed meanwhile.
    pub(crate) fn at_worst(&self, hash: u64, key: &K, least: u64) -> Option<Option<Arc<V>>> {
        // Where nothing stale is ever served, neither is what was expired before its time.
        if self.config.stale_max.is_zero() {
            return None;
        }
        let now = self.clock.now();
        self.near.read(hash, key, |stored| {
            (stored.proved >= least).then(|| stored.at_worst(now, &self.tombstones)).flatten()
        })?
    }

    /// Whether what lies there is older than something that was missed, or than what is trusted while not every node is heard: changed
    /// or not, nobody knows.
    #[cfg(feature = "http")]
    pub(crate) fn is_in_doubt<Q>(&self, hash: u64, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let (doubted, oldest) = (self.tombstones.doubted(), self.oldest(self.clock.now()));
        let is_older = |stored: &Stored<V>| stored.proved < doubted || stored.life.born < oldest;
        self.near.read(hash, key, is_older).unwrap_or(false)
    }

    /// What was stored before this time is not trusted now.
    fn oldest(&self, now: u64) -> u64 {
        match &self.neighbours {
            Some(neighbours) if !neighbours.are_heard() => {
                now.saturating_sub(millis(self.config.age_unheard))
            }
            _ => 0,
        }
    }

    /// Whether an early refresh is due: XFetch, which is the earlier the longer a load takes, and earlier by the load's own
    /// time, so that the new value has landed when the old one expires.
    pub(crate) fn is_due(&self, remaining: u64, cost: u64) -> bool {
        // In (0, 1], so that the logarithm is finite.
        let chance = 1.0 - unit(self.dice.roll());
        -(cost.max(1) as f64) * self.config.beta * chance.ln() >= remaining.saturating_sub(cost + 1) as f64
    }

    /// Keeps the value unless its load was overtaken by an invalidation. Answers whether it was kept.
    pub(crate) fn keep(&self, hash: u64, key: &K, generation: u64, stored: Stored<V>, weight: u64) -> bool {
        let (stamp, tags) = (stored.stamp, stored.tags.clone());
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let inserted = self.near.insert_if(hash, key.clone(), stored, weight, |present| {
            self.config.enabled
                && self.generations.now(hash) == generation
                && self.tombstones.verdict(stamp, &tags) == Verdict::Alive
                // A flight that was overtaken by another one of the same generation.
                && present.is_none_or(|present| present.stamp <= stamp)
        });
        self.meters.evicted.add(inserted.evicted as u64);
        self.meters.entries.add(inserted.residents);
        self.meters.weight.add(inserted.weight);
        if !inserted.admitted {
            self.meters.discarded_generation.increment();
        }
        inserted.admitted
    }

    /// What the entry weighs; `None` when it is more than the limit for one.
    pub(crate) fn weigh(&self, key: &K, value: Option<&V>, said: Option<u64>) -> Option<u64> {
        let weight = match (&self.measure, value) {
            (Measure::Entries, _) => return Some(said.unwrap_or(1)),
            (Measure::Bytes(measure), Some(value)) => said.unwrap_or_else(|| measure(key, value)),
            (Measure::Bytes(_), None) => said.unwrap_or(0),
        };
        (weight <= self.config.payload_limit.as_bytes()).then(|| weight.saturating_add(OVERHEAD))
    }

    /// The life of a value that is stored now.
    pub(crate) fn life(&self, ttl: Duration, cost: Duration, is_there: bool) -> Life {
        let config = &self.config;
        let now = self.clock.now();
        let ttl = match is_there {
            true => ttl,
            false => ttl.min(config.negative_ttl),
        };
        let factor = between(self.dice.roll(), 1.0 - config.jitter, 1.0 + config.jitter);
        let lasts = millis(ttl.mul_f64(factor)).max(1);
        let fresh = now.saturating_add(lasts);
        // That something is not there is not worth keeping beyond its time.
        let after = |more: Duration| if is_there { fresh.saturating_add(millis(more)) } else { fresh };
        Life {
            fresh,
            eager: (lasts as f64 * (1.0 - config.eager)) as u64,
            revalidate: after(config.revalidate),
            kept: after(config.stale_max),
            born: now,
            cost: millis(cost),
            stale: false,
        }
    }

    /// The life of a value that was made of something stale, which is to be asked for again at `until`.
    pub(crate) fn of_stale(&self, life: Life, until: Deadline) -> Life {
        let left = millis(until.remaining(Instant::now().into_std()));
        let fresh = life.fresh.min(self.clock.now().saturating_add(left));
        let kept = life.kept - (life.fresh - fresh);
        Life { fresh, eager: 0, revalidate: fresh, kept, stale: true, ..life }
    }

    /// Whoever makes something lasting of what is stale until then learns it.
    pub(crate) fn tell_stale(&self, ctx: &Ctx, until: u64) {
        if ctx.is_lasting() {
            let left = Duration::from_millis(until.saturating_sub(self.clock.now()));
            ctx.made_of_stale(Deadline::after(Instant::now().into_std(), left));
        }
    }

    /// The life of a value that is kept because a load failed.
    pub(crate) fn prolonged(&self, life: Life) -> Life {
        let now = self.clock.now();
        let fresh = now.saturating_add(millis(self.config.throttle)).min(life.kept);
        Life { fresh, eager: 0, revalidate: fresh, born: now, stale: true, ..life }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
