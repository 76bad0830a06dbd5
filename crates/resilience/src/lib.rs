//! What lets a service bend instead of break, as state machines that are given the time and the dice.
//!
//! What this is: one small machine per module, each `decide(now, event) -> decision`, usable in any program. What it
//! is not: it reads no clock, rolls no dice, starts no task, waits for nothing and does no I/O; it knows no runtime.
//! Whoever uses a machine hands it [`Instant`]s and random numbers, so every machine is tested exhaustively, without waiting.
//!
//! # The shape they share
//! - A machine is a cheap handle; clones share it. It asks nothing of its caller but `now`.
//! - `admit(now, ..)` answers `Ok(Permit)` or `Err(`[`Refused`]`)`: at once, without waiting.
//! - `permit.settle(now, `[`Outcome`]`)` says how it ended. A permit that is dropped unsettled was cancelled: what it held
//!   is given back, and it counts as nothing.
//! - `view(now)` is what a person sees: a plain struct with public fields.
//! - `Config` is plain data with a default for everything and a `validate()` that says what is wrong.
//!
//! # Invariants
//! - A decision allocates nothing, takes bounded time, and never panics, whatever it is given.
//! - Memory is bounded when the machine is made.
//! - Permits are conserved: each is given back exactly once, settled or dropped, also when a task is cancelled.
//! - Results of an older state than the present one are ignored; each permit remembers the generation that admitted it.
//! - Time may seem to stand still or to step back, because threads read the clock before they race each other here: a
//!   machine treats an older `now` as the newest it has seen, and never underflows.

#![forbid(unsafe_code)]

pub mod admission;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod deadline;
pub mod hedge;
pub mod inbound;
pub mod latency;
pub mod layer;
pub mod limit;
pub mod line;
pub mod outbound;
mod outcome;
mod race;
pub mod random;
pub mod rate;
mod refused;
pub mod retry;
mod sync;
pub mod throttle;
mod time;
mod window;

pub use outcome::Outcome;
pub use refused::{Refused, Why};
pub use time::{Clock, Instant, Timer};

/// The document's examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/resilience.md")]
struct Document;
