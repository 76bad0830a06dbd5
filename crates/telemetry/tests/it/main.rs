//! Tests of the crate through its public door.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod log;
mod metrics;
