//! One Redis (6 or newer, or Valkey), kept connected.
//!
//! What this is: a handle whose clones share one connection. Many calls are under way on it at once, each within its
//! caller's deadline; it is opened again when it breaks. Calls, [pipelines](Pipeline) of one round trip, [scripts](Script), and
//! [publish and subscribe](Redis::listen). What it is not: a cluster or Sentinel client (give it one address behind which the primary
//! is), a pool, or something to keep the only copy of anything in. Redis makes Burgeon faster, never correct.
//!
//! ```no_run
//! # async fn example(tasks: burgeon_runtime::Tasks, meters: burgeon_meter::Meters) -> burgeon_core::Result<()> {
//! use burgeon_core::Ctx;
//! use burgeon_redis::{Command, Config, Redis};
//!
//! let redis = Redis::connect(&Config::at("redis://127.0.0.1"), &tasks, &meters)?;
//! let ctx = Ctx::background();
//! redis.call(&ctx, &Command::write("SET").arg("greeting").arg("hello")).await?;
//! let greeting = redis.call(&ctx, &Command::read("GET").arg("greeting")).await?.bytes()?;
//! assert_eq!(greeting.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! - No call takes longer than [`Config::response_timeout`], or than what is left of its context.
//! - A write whose answer was lost says so ([`Fault::OutcomeUnknown`]); everything else that fails has changed nothing.
//! - [`Redis::generation`] rises before the first answer of a server that is not the one before: another one, a restarted one, a
//!   promoted one. Only a primary is ever spoken to.
//! - What is under way is bounded by [`Config::in_flight`].
//! - The URL is never printed.
//!
//! # When it breaks
//! Without a connection every call fails at once with [`Fault::Unavailable`], and its cause; nobody waits for a server that is
//! away. It is tried again with growing, random pauses of at most a second. A server that is connected and does not answer is
//! noticed by its callers' timeouts (a breaker opens) and by a heartbeat, after which the connection is given up. A write that
//! timed out may still be done later, when a frozen server thaws.

#![forbid(unsafe_code)]

mod address;
mod command;
mod config;
mod connection;
mod fault;
mod keeper;
mod listen;
mod meters;
mod pipeline;
mod redis;
mod script;
mod server;
mod value;

pub use self::redis::{Redis, State};
pub use command::Command;
pub use config::Config;
pub use fault::Fault;
pub use listen::{Heard, Listener, Publisher};
pub use pipeline::Pipeline;
pub use script::{Call, Script};
pub use server::Server;
pub use value::Value;
