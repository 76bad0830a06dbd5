//! All interleavings of two or three threads over each shared machine: `cargo xtask loom`.

#![allow(unexpected_cfgs, reason = "only `cargo xtask loom` passes this cfg")]
#![cfg(loom)]

mod breaker;
mod budget;
mod guard;
mod rate;
mod throttle;
