//! The atomics and locks of every machine: the standard library's, or loom's, which tries all interleavings.
//!
//! `cargo xtask loom` compiles the crate with `--cfg loom`; nothing but this file and the tests knows.

#![allow(
    unexpected_cfgs,
    reason = "cargo knows no list for `--cfg loom`, and one for the workspace would rebuild it whole"
)]

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
