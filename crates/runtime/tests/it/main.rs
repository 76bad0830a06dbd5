//! Tests of the crate through its public door.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cores;
mod health;
mod lifecycle;
mod races;
mod signals;
mod tasks;
