//! The second tier: values that all nodes share, and that outlive a process.
//!
//! What this is: a store ([`Far::database`] or Redis) between memory and the loader, fenced so that an invalidation wins there as it
//! does in memory. What it is not: a source of truth, or anything that a cache needs: out of reach, it is a cache without one.
//!
//! # Invariants
//! - A read is one round trip, for one key or many, with tags or without; and those who read at the same time share it (see `reads`).
//! - What was loaded before an invalidation of its key, its tags or everything is never read again, whoever wrote it: each write
//!   shows the version it read before its load, and the store compares (see `store`).
//! - What a node has invalidated and the store has not confirmed, that node does not read from there (see `doubts`).
//! - Nobody waits for the store longer than [`Config::hard_timeout`](crate::far::Config::hard_timeout).
//!
//! # When it breaks
//! Silent or slow, it is not asked for a while (a breaker), stale values are served, and what must be loaded is loaded at most
//! [`Config::loads_when_down`](crate::far::Config::loads_when_down) at a time. Invalidations wait and are tried again. Another primary, or one that lost its memory:
//! everything in it counts as invalidated.

mod ask;
mod codec;
mod config;
mod desk;
mod doubts;
mod meters;
mod reads;
#[cfg(feature = "redis")]
mod redis;
mod remote;
mod sql;
mod store;
mod sweep;
mod tier;

use std::fmt;

use burgeon_db::Db;

pub use self::config::{Config, Which};
pub use crate::wire::Format;

pub(crate) use self::ask::{Asked, Named};
pub(crate) use self::codec::Codec;
pub(crate) use self::desk::Doubt;
pub(crate) use self::doubts::Unsettled;
pub(crate) use self::meters::FarMeters;
pub(crate) use self::remote::Remote;
pub(crate) use self::store::{Burial, Store};
pub(crate) use self::sweep::sweep;
pub use self::sweep::sweep_once;
pub(crate) use self::tier::{Export, Ticket, Tier};

/// Where the caches of an application keep what all nodes share; handed to [`Caches::on_far`](crate::Caches::on_far).
pub struct Far {
    pub(crate) store: Store,
    pub(crate) application: String,
}

impl Far {
    /// Tables in the application's own database. The [migrations](crate::migrations) must have run.
    ///
    /// `application` is the first part of every name there, so that two applications may share a store.
    pub fn database(db: &Db, application: impl Into<String>) -> Self {
        Self { store: Store::Sql(sql::Sql::new(db)), application: application.into() }
    }

    /// Redis. Its user must be allowed to ask who it is (`INFO`): a primary that may have forgotten invalidations must be known
    /// for another one.
    #[cfg(feature = "redis")]
    pub fn redis(server: &burgeon_redis::Redis, application: impl Into<String>) -> Self {
        Self { store: Store::Redis(Box::new(redis::Redis::new(server))), application: application.into() }
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Far")
            .field("store", &self.store.name())
            .field("application", &self.application)
            .finish()
    }
}
