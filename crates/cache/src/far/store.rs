//! Where the second tier keeps its entries: a closed set of stores that promise the same.
//!
//! ```text
//!   read        keys ─▶ the cache's version now, and what is alive: in one round trip
//!   write       an entry and the version before its load ─▶ kept, unless its key or everything was invalidated since
//!   bury        from now on nothing of an earlier version lives, or is written
//! ```
//!
//! Each cache has one version there, which every invalidation raises. It goes on from the store's clock where it was lost, so it
//! never begins anew, and it is the token by which writes are fenced: a load that began at version 7 may be stored as long as
//! its key was not invalidated at 8. An invalidation also leaves the commit that it tells of: what a lagging replica gave is
//! not written. When a key was invalidated is told by stripes of keys that are never deleted: so "never"
//! cannot be confused with "forgotten". Tags work in the same way, and are asked when an entry is read.
//!
//! # Invariants
//! - After `bury` has returned, no read returns what was written before it or loaded before it.
//! - A version, once told, is never told again for something later.
//! - No clock but the store's own decides anything, and that only how old an entry is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burgeon_core::{Ctx, Position, Result};
use bytes::Bytes;

use super::sql::Sql;
use crate::tags;
use crate::tombstones::Reach;

/// Which store.
pub(crate) enum Store {
    Sql(Sql),
    #[cfg(feature = "redis")]
    Redis(Box<super::redis::Redis>),
}

/// A cache, as the store knows it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Application and cache.
    pub(crate) cache: Arc<str>,
    /// Of the type of its values.
    pub(crate) fingerprint: u64,
    /// Whether an entry with tags has been seen, about which more must be asked.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "the database answers both in one question")
    )]
    pub(crate) is_tagged: Arc<AtomicBool>,
}

/// What the store says of some keys.
pub(crate) struct Answer {
    /// What is loaded now is fenced with this.
    pub(crate) token: Token,
    /// For each key, in their order.
    pub(crate) entries: Vec<Option<Entry>>,
}

/// A version of a cache, as a write shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Token {
    pub(crate) version: u64,
    /// Which server it is of; zero where there is only one.
    pub(crate) era: u64,
}

/// What lies under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Bytes,
    /// How long ago the store took it.
    pub(crate) age: Duration,
    /// Whether it was expired by hand, or by tag.
    pub(crate) is_expired: bool,
}

/// What is to lie under a key.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) token: Token,
    pub(crate) bytes: Vec<u8>,
    pub(crate) tags: Vec<u16>,
    pub(crate) kept: Duration,
    /// How far the database had come, at least, that it was loaded from.
    pub(crate) position: Position,
}

/// How far an invalidation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burial {
    pub(crate) reach: Reach,
    /// The commit that made it necessary: what was loaded from a database that had not come so far is not written.
    pub(crate) floor: Position,
}

impl Burial {
    /// Both of them.
    pub(crate) fn join(self, other: Burial) -> Burial {
        let reach = if self.reach == Reach::Remove { self.reach } else { other.reach };
        Burial { reach, floor: self.floor.join(other.floor) }
    }
}

/// Stripes of keys. Two keys of one cost each other a write now and then.
pub(crate) const FENCES: u64 = 1_024;

/// The stripe that a key's invalidations are told by.
pub(crate) fn fence(key: &str) -> u16 {
    (tags::hash(key) >> (64 - FENCES.ilog2())) as u16
}

/// The stripe that a tag's invalidations are told by.
pub(crate) const fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16
}

impl Store {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sql(_) => "database",
            #[cfg(feature = "redis")]
            Self::Redis(_) => "redis",
        }
    }

    /// The database, where it is one whose tables want sweeping.
    pub(crate) fn database(&self) -> Option<&burgeon_db::Db> {
        match self {
            Self::Sql(sql) => Some(sql.db()),
            #[cfg(feature = "redis")]
            Self::Redis(_) => None,
        }
    }

    /// What is alive under these keys, and the version to load at, in one round trip.
    pub(crate) async fn read(&self, ctx: &Ctx, place: &Place, keys: &[String]) -> Result<Answer> {
        match self {
            Self::Sql(sql) => Box::pin(sql.read(ctx, place, keys)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.read(ctx, place, keys).await,
        }
    }

    /// Keeps the entry, unless its key, or everything, was invalidated at a later version than its stamp. Answers whether.
    pub(crate) async fn write(&self, ctx: &Ctx, place: &Place, record: Record) -> Result<bool> {
        match self {
            Self::Sql(sql) => Box::pin(sql.write(ctx, place, record)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.write(ctx, place, record).await,
        }
    }

    /// Invalidates these keys. Answers the version at which: what is written with it as its stamp is newer.
    pub(crate) async fn bury_keys(
        &self,
        ctx: &Ctx,
        place: &Place,
        keys: &[String],
        burial: Burial,
    ) -> Result<Token> {
        match self {
            Self::Sql(sql) => Box::pin(sql.bury_keys(ctx, place, keys, burial)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.bury_keys(ctx, place, keys, burial).await,
        }
    }

    /// Invalidates everything under the tags of these stripes.
    pub(crate) async fn bury_tags(
        &self,
        ctx: &Ctx,
        place: &Place,
        stripes: &[u16],
        burial: Burial,
    ) -> Result<()> {
        match self {
            Self::Sql(sql) => Box::pin(sql.bury_tags(ctx, place, stripes, burial)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.bury_tags(ctx, place, stripes, burial).await,
        }
    }

    /// Invalidates everything of the cache.
    pub(crate) async fn bury_everything(&self, ctx: &Ctx, place: &Place, burial: Burial) -> Result<()> {
        match self {
            Self::Sql(sql) => Box::pin(sql.bury_everything(ctx, place, burial)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.bury_everything(ctx, place, burial).await,
        }
    }

    /// Takes the right to load this key for all nodes, unless another holder has it. It ends after `life`.
    pub(crate) async fn claim(
        &self,
        ctx: &Ctx,
        place: &Place,
        key: &str,
        holder: u64,
        life: Duration,
    ) -> Result<bool> {
        match self {
            Self::Sql(sql) => Box::pin(sql.claim(ctx, place, key, holder, life)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.claim(ctx, place, key, holder, life).await,
        }
    }

    /// Gives it back.
    pub(crate) async fn release(&self, ctx: &Ctx, place: &Place, key: &str, holder: u64) -> Result<()> {
        match self {
            Self::Sql(sql) => Box::pin(sql.release(ctx, place, key, holder)).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.release(ctx, place, key, holder).await,
        }
    }
}
