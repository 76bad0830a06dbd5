//! One modular application: alone one binary, by configuration many nodes.
pub mod config;
mod environment;

pub use environment::Environment;

pub mod api;
pub use burgeon_core::{
    Criticality, Ctx, Deadline, Error, Field, Kind, Money, OrNotFound, Position, Principal, Result, Secret,
    Tenant, Trace,
};
pub use burgeon_macros::api;
