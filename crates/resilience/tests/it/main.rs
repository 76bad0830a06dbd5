//! Tests of the crate through its public door.

mod breaker;
mod budget;
mod bulkhead;
mod outbound;
mod rate;
mod throttle;
mod words;
