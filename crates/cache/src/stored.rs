//! What lies in the near store: a value and what is known of its life.
//!
//! ```text
//!   stored ───────── eager ──── fresh ends ── revalidate ends ─────── kept until
//!   │   served at once  │ early   │ served, one │ loaded; served only     │ gone
//!   │                   │ refresh │ load behind │ when that fails         │
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::tombstones::{Tombstones, Verdict};

/// A value or the knowledge that there is none, and until when it is believed. Times are the clock's milliseconds.
#[derive(Debug)]
// In this order: nearly every hit reads the first three and nothing else.
#[repr(C)]
pub(crate) struct Stored<V> {
    /// `None`: there is no such thing.
    pub(crate) value: Option<Arc<V>>,
    /// The cache's version at which its tags were last found alive.
    verified: AtomicU64,
    /// Until when it is served without another question. Zero: never, because it is stale, or was expired by hand or by tag.
    unquestioned: AtomicU64,
    /// The cache's version when the load began.
    pub(crate) stamp: u64,
    /// The same of the load that brought the value: a failed one gives it a new stamp and proves nothing. Zero: what it was made of may be
    /// of any age.
    pub(crate) proved: u64,
    /// Hashes of its tags.
    pub(crate) tags: Arc<[u64]>,
    pub(crate) validators: Option<Arc<Validators>>,
    pub(crate) life: Life,
    /// Zero once it was expired by hand or by tag.
    fresh_until: AtomicU64,
}

/// The milestones of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// When its freshness ends.
    pub(crate) fresh: u64,
    /// How long before that an early refresh may happen.
    pub(crate) eager: u64,
    /// Until when it is served while a load goes on behind it.
    pub(crate) revalidate: u64,
    /// Until when it is kept.
    pub(crate) kept: u64,
    /// When it began.
    pub(crate) born: u64,
    /// How long its load took.
    pub(crate) cost: u64,
    /// Whether it is past its true freshness already: kept alive after a failed load, or made of something stale.
    pub(crate) stale: bool,
}

/// By what an origin can tell that nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Look<V> {
    /// A value to serve; if it is a stale one, until when it is not asked for again.
    Fresh { value: Option<Arc<V>>, stale: Option<u64> },
    /// A value to serve, near enough to its end that an early refresh may be due.
    Early { value: Option<Arc<V>>, remaining: u64, cost: u64 },
    /// A value to serve while a load goes on behind it.
    Revalidate(Option<Arc<V>>),
    /// Nothing to serve unless a load fails.
    Stale,
    /// Nothing.
    Nothing,
}

/// Who looks, and at what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reader {
    /// The clock's milliseconds.
    pub(crate) now: u64,
    /// The cache's version.
    pub(crate) version: u64,
    /// The reader knows of a change that everything loaded before this version may be older than. Nearly always zero.
    pub(crate) least: u64,
    /// What was stored before this time is too old to be trusted. Zero while every node is heard.
    pub(crate) oldest: u64,
}

impl<V> Stored<V> {
    pub(crate) fn new(
        value: Option<Arc<V>>,
        stamp: u64,
        tags: Arc<[u64]>,
        validators: Option<Arc<Validators>>,
        life: Life,
    ) -> Self {
        let unquestioned = if life.stale { 0 } else { life.fresh.saturating_sub(life.eager) };
        Self {
            value,
            verified: AtomicU64::new(stamp),
            unquestioned: AtomicU64::new(unquestioned),
            stamp,
            proved: stamp,
            tags,
            validators,
            life,
            fresh_until: AtomicU64::new(life.fresh),
        }
    }

    /// The value, if nothing was invalidated since it was last asked about, and this reader asks for nothing but the time.
    #[inline]
    pub(crate) fn at_once(&self, reader: Reader) -> Option<Option<Arc<V>>> {
        let Reader { now, version, least, oldest } = reader;
        let is_unquestioned = self.verified.load(Ordering::Acquire) == version
            && now < self.unquestioned.load(Ordering::Relaxed)
            && (least, oldest) == (0, 0);
        is_unquestioned.then(|| self.value.clone())
    }

    /// What it is to this reader.
    pub(crate) fn look(&self, reader: Reader, tombstones: &Tombstones) -> Look<V> {
        let Reader { now, version, least, oldest } = reader;
        if self.proved < least {
            return Look::Nothing;
        }
        if self.verified.load(Ordering::Acquire) != version && !self.verify(version, tombstones) {
            return Look::Nothing;
        }
        if self.life.born < oldest {
            return if now < self.life.kept { Look::Stale } else { Look::Nothing };
        }
        let until = self.fresh_until.load(Ordering::Relaxed);
        let value = || self.value.clone();
        if now + self.life.eager < until {
            return Look::Fresh { value: value(), stale: self.life.stale.then_some(until) };
        }
        if now < until {
            return match self.life.stale {
                true => Look::Fresh { value: value(), stale: Some(until) },
                false => Look::Early { value: value(), remaining: until - now, cost: self.life.cost },
            };
        }
        match now {
            // What was expired on purpose is not served on the way.
            _ if until > 0 && now < self.life.revalidate => Look::Revalidate(value()),
            _ if now < self.life.kept => Look::Stale,
            _ => Look::Nothing,
        }
    }

    /// The value, if it may be served when nothing better can be had.
    pub(crate) fn at_worst(&self, now: u64, tombstones: &Tombstones) -> Option<Option<Arc<V>>> {
        let gone = now >= self.life.kept || tombstones.verdict(self.stamp, &self.tags) == Verdict::Removed;
        (!gone).then(|| self.value.clone())
    }

    /// Until when it is not asked for again.
    pub(crate) fn until(&self) -> u64 {
        self.fresh_until.load(Ordering::Relaxed)
    }

    /// From now on it is stale.
    pub(crate) fn expire(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
        self.unquestioned.store(0, Ordering::Relaxed);
    }

    /// Made of something stale: to nobody who has changed something is it new enough.
    pub(crate) fn unproved(self) -> Self {
        Self { proved: 0, ..self }
    }

    /// The same value with another life. `is_proved`: its origin said that it has not changed.
    pub(crate) fn renewed(&self, life: Life, stamp: u64, is_proved: bool) -> Self {
        let proved = if is_proved { stamp } else { self.proved };
        let (value, tags) = (self.value.clone(), self.tags.clone());
        Self { proved, ..Self::new(value, stamp, tags, self.validators.clone(), life) }
    }

    /// Something was invalidated since it was last looked at; was it this? Answers whether anything of it may be served.
    #[cold]
    fn verify(&self, version: u64, tombstones: &Tombstones) -> bool {
        match tombstones.verdict(self.stamp, &self.tags) {
            Verdict::Removed => return false,
            Verdict::Expired => self.expire(),
            Verdict::Alive => {}
        }
        // After the expiry, so that whoever sees this sees that.
        self.verified.store(version, Ordering::Release);
        true
    }
}
