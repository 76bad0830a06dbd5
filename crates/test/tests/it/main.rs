//! The means of testing, tested: on themselves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "in tests a panic is the verdict"
)]

mod nodes;
mod positions;
mod processes;
mod verbs;
mod visitor;
