//! The database through its public door.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod house;
mod postgres;
mod send;
mod statements;
mod writer;
