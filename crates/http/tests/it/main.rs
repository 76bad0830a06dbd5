//! The edge through its public door: routers are called as services, the server is met through sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests")]

mod serving;

mod admin;
mod assets;
mod client;
mod forms;
mod health;
mod keys;
mod openapi;
mod positions;
mod refusals;
mod routing;
mod server_drain;
mod server_framing;
mod server_limits;
mod server_process;
mod server_protocols;
mod server_tls;
mod stack_requests;
