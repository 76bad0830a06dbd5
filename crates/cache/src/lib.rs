//! A cache that is never wrong.
//!
//! What this is: named, typed caches in this process ([`Caches`], [`Cache`]). Each has its loader, which runs once however
//! many ask; values that cannot be loaded are served stale; an invalidation (by key, by tag, of everything, after a commit)
//! wins against every load that was under way, on every node of the bus. What it is not: a store.
//!
//! The walk through it is `docs/cache.md`.
//!
//! # Invariants
//! - A read that begins after an invalidation returned never gets what was there before it, and nothing loaded before it
//!   is kept: `generations`, `tombstones`, and `near`'s `insert_if` hold this together.
//! - The same holds on another node for whoever carries the marks of the invalidation, and for everybody as soon as that
//!   node has heard of it. What it cannot have heard ages within seconds.
//! - One load per key at a time. It runs in a task of the cache's own: no caller who leaves or breaks takes it along.
//! - Every wait ends by the caller's deadline; every load by `load_timeout`.
//! - Errors are never kept. "Not found" is, briefly.
//! - Memory is bounded by entries or bytes; a hit allocates nothing and waits for no writer but its table's.
//!
//! # When it breaks
//! A loader that fails, hangs or panics: the stale value, else the fallback, else a typed error. A commit whose answer was
//! lost counts as done. Nothing here knows the wall clock, so no jump of it matters.

#![forbid(unsafe_code)]

mod batch;
mod cache;
mod caches;
mod clock;
mod config;
mod errand;
/// The second tier, which all nodes share.
pub mod far;
mod fault;
mod flight;
mod flights;
mod fragment;
mod gathering;
mod generations;
mod hashes;
#[cfg(feature = "http")]
pub mod http;
mod inner;
mod invalidate;
mod invalidation;
mod load;
mod loader;
mod meters;
mod near;
mod neighbours;
mod news;
// Here and not in `near`, which the model tests compile with other locks.
#[cfg(test)]
#[path = "near/tests.rs"]
mod near_tests;
mod off;
mod progress;
mod stored;
mod sync;
mod tags;
mod tombstones;
mod turns;
mod tx;
mod view;
mod walk;
mod wire;

pub use cache::Cache;
pub use caches::{Caches, Named};
pub use clock::Clock;
pub use config::Config;
pub use far::Far;
pub use fault::Fault;
pub use fragment::Fragment;
pub use invalidation::Invalidation;
pub use load::{Load, Loaded};
pub use news::News;
pub use tx::InvalidateOnCommit;
pub use view::{FarView, View};

/// The tables of caches, for the migrator.
pub fn migrations() -> &'static [burgeon_db::Migration] {
    burgeon_db::migrations!["0001_outbox.sql", "0002_far.sql"]
}
