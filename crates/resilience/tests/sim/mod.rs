//! The overload simulator: one server, many clients, a policy at the door, and no clock.
//!
//! What this is: a deterministic discrete-event model. The same seed gives the same run, event by event. Work is shared evenly among all that
//! runs (processor sharing), slows down with too much at a time (contention), and goes on when its client has long given up (zombies). Clients
//! have deadlines and may retry. The policy sees what a real one sees: arrivals, ends, time. Ours is the real
//! [`Admission`](burgeon_resilience::admission::Admission), not a copy; the peers are written after their published formulas, for this
//! model only. What it is not: a proof. A model is a gate that a bad idea does not pass.
//!
//! Used by the crate's tests, and by `cargo xtask bench overload-sim`, which includes this directory and draws what it finds.
#![allow(dead_code, unreachable_pub, reason = "the tests and the bench each use their part of it")]

pub mod peers;
pub mod policy;
pub mod record;
pub mod scenario;
mod server;
pub mod stack;
mod world;

pub use policy::Policy;
pub use record::Record;
pub use scenario::{Retries, Scenario, Work};
pub use stack::Stack;
pub use world::run;
