//! Tests of the crate through its public door.

mod breaker;
mod budget;
mod bulkhead;
mod inbound;
mod outbound;
mod overload;
mod paused;
mod rate;
#[path = "../sim/mod.rs"]
mod sim;
mod throttle;
mod words;
