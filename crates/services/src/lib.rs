//! Real servers for tests and laptops: Postgres, Redis, NATS, PgBouncer, and a TCP proxy that misbehaves on request.
//!
//! Each server is the distribution's own binary, started on a free port of the loopback interface in a temporary
//! directory of its own, and gone without trace when its value is dropped or its owner dies, however it dies.
//! It is not a container runtime and not for production: passwords are off, durability is off unless asked for,
//! and nothing listens beyond this machine.
//!
//! ```no_run
//! # async fn example() -> burgeon_services::Result<()> {
//! use burgeon_services::{Postgres, Proxy};
//!
//! let postgres = Postgres::start().await?;
//! let database = postgres.create_database().await?;
//! let proxy = Proxy::start(("127.0.0.1", postgres.port())).await?;
//! let through_the_proxy = proxy.url_for(&database);
//! proxy.black_hole(); // from here on nothing arrives, and nobody is told
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - A server that was started is ended: by `drop`, or by its supervising shell when the owner's process ends, even by SIGKILL.
//!   The [shared](Postgres::shared) one is owned by all processes of a test run together.
//! - No server runs as root: Postgres and PgBouncer refuse it, and the others need it no more than they do.
//! - A server keeps its port through `stop`, `kill` and `restart`.
//! - `start` and `restart` return when the server answers, or with its log when it does not within a minute.
//!
//! # When it breaks
//!
//! Every [`Error`] is a text for a person: which binary is missing and which package holds it, or what the server
//! wrote into its log. `unwrap` prints that text as it is.

mod account;
mod binary;
mod databases;
mod error;
mod nats;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod proxy;
mod ready;
mod redis;
mod replica;
mod server;
mod shared;
mod template;
mod url;

pub use binary::{Program, find};
pub use databases::Databases;
pub use error::{Error, Result};
pub use nats::{Nats, Options as NatsOptions};
pub use pgbouncer::{PgBouncer, PoolMode};
pub use postgres::{Options, Postgres};
pub use proxy::Proxy;
pub use redis::{Options as RedisOptions, Redis};
pub use server::Server;
