//! The cluster through its public door: one body of tests over every link, with one node and with three.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests")]

mod bus;
mod lease;
mod limits;
mod members;
mod yard;
