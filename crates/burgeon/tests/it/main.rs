//! The roof through its public door.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in tests a panic is the verdict"
)]

mod api;
mod app;
mod documented;
mod documents;
mod limits;
mod own_writes;
mod refused_by_the_compiler;
mod support;
mod together;
