//! The database through its public door.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests")]

mod beside;
mod both;
mod bulk;
mod contract;
mod crash;
mod disk;
mod dynamic;
mod house;
mod increments;
mod json_rows;
mod migrations;
mod mover;
mod open;
mod postgres;
mod refused_by_the_compiler;
mod send;
mod statements;
mod streams;
mod transactions;
mod types;
mod writer;
