//! Things that start, become ready, drain and stop.
//!
//! What this is: [`Tasks`], the owner of every background task; [`Lifecycle`], which starts [`Service`]s in order and
//! stops them in reverse; [`Health`], what the probes read; [`Cores`], one single-threaded runtime per core for the
//! connections of a server. What it is not: a scheduler of durable work (that is `jobs`) or a dependency container.
//!
//! It is the only crate that spawns tasks and hears signals.
//!
//! # Invariants
//! - Every task has a name and an owner that can await and stop it. What does not stop in time is aborted and named.
//! - A panic in a task is caught, counted and logged under the task's name; it never passes in silence.
//! - A service is ready when it says so, never because nothing was heard of it.
//! - A service starts after all it depends on, and stops before them.
//! - The process is unready *before* anything in it begins to stop.
//!
//! # When it breaks
//! A service that fails to start, or dies later, makes the whole process drain and [`Lifecycle::run`] return an error
//! that names it: half a process is worse than a restart by the supervisor outside.

mod backoff;
mod config;
mod cores;
mod health;
mod lifecycle;
mod order;
mod owned;
mod probe;
mod service;
mod signal;
mod state;
mod tasks;

pub use backoff::Restart;
pub use config::Config;
pub use cores::{Core, Cores, OnCore};
pub use health::{Health, Part, PartHandle, Report, State};
pub use lifecycle::Lifecycle;
pub use service::{Life, Service};
pub use signal::{Interrupted, exit_code};
pub use tasks::{Task, Tasks};
