//! The cache through its public door.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests")]

mod allocations;
mod batches;
mod commits;
mod far;
mod house;
#[cfg(feature = "http")]
mod http;
mod invalidation;
mod lifetimes;
mod loaders;
mod model;
mod nested;
mod nodes;
mod races;
mod stale;
mod stampedes;
mod storms;
mod tags;
mod transactions;
mod turns;
