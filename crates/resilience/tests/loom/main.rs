//! All interleavings of two or three threads over each shared machine: `cargo xtask loom`.

#![allow(unexpected_cfgs, reason = "only `cargo xtask loom` passes this cfg")]
#![cfg(loom)]

mod admission;
mod breaker;
mod budget;
mod guard;
mod limit;
mod rate;
mod throttle;
