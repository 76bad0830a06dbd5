//! Flights, generations and the near store under every interleaving of their locks and atomics.
//!
//! The very source files of the crate, with loom's locks and atomics in the place of the standard library's.
#![allow(dead_code, reason = "the models use the parts of these modules that race")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "../../src/flights.rs"]
mod flights;
#[path = "../../src/generations.rs"]
mod generations;
#[path = "../../src/near/mod.rs"]
mod near;
mod sync;

mod models;
