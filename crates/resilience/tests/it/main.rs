//! Tests of the crate through its public door.

mod breaker;
mod budget;
mod bulkhead;
mod outbound;
mod overload;
mod rate;
#[path = "../sim/mod.rs"]
mod sim;
mod throttle;
mod words;
