//! The servers, through their public door.

#![expect(
    clippy::unwrap_used,
    reason = "in a test an error is a failure, wherever the test has put the line"
)]

mod abandoned;
mod bouncer;
mod postgres;
mod proxy;
mod redis_and_nats;
mod replicas;
mod runs;
mod wire;
