//! An application under test: several nodes, both engines, a client with and without a socket.
//!
//! ```
//! use burgeon::prelude::*;
//! use burgeon_test::TestApp;
//!
//! fn app() -> App {
//!     async fn home() -> &'static str {
//!         "hello"
//!     }
//!     App::new("hello").module(|| Module::new("home").routes(Routes::new(()).routes([get("/", home)])))
//! }
//!
//! // As a test: `home_says_hello::sqlite`, `home_says_hello::postgres`, `home_says_hello::postgres_3_nodes`.
//! #[burgeon_test::test(app)]
//! async fn home_says_hello(app: TestApp) {
//!     app.get("/").await.ok().contains("hello");
//! }
//!
//! // Or by hand.
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let app = TestApp::of(app).start().await;
//! app.get("/").await.ok().contains("hello");
//! app.stop().await;
//! # });
//! ```
//!
//! What this is: the application as it runs in production, with a database of its own, on free ports, in this process
//! ([`TestApp`]) or in processes of its own ([`Processes`]). What it is not: a mock. Nothing is replaced but the
//! configuration.
//!
//! # Invariants
//! - A test has its own database, files and ports; all tests run at once.
//! - With several nodes, the client's requests go from node to node in turn: what one has not told the others shows.
//! - Calls between modules are serialised and back, as between processes.
//! - At the end every node is stopped in order, and one that does not stop fails the test. Nothing is left behind.
//!
//! When Postgres is missing a test fails and says what to install; it is never skipped.

#![allow(clippy::panic, reason = "in tests a panic is the verdict")]

mod answer;
mod app;
mod client;
mod database;
#[doc(hidden)]
pub mod private;
mod process;

pub use burgeon_macros::test;

pub use answer::Answer;
pub use app::{Options, TestApp};
pub use burgeon_db::Engine;
pub use client::Client;
pub use process::{Process, ProcessOptions, Processes};
