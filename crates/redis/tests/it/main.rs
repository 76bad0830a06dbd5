//! Redis through the public door, against real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests are tests")]

mod calls;
mod listening;
mod outages;
mod primaries;
mod scripts;
mod secured;
mod yard;
