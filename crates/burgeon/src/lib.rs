//! One modular application: alone one binary, by configuration many nodes.

extern crate self as burgeon;

pub mod admin;
mod alone;
pub mod api;
mod app;
mod bar;
mod brokers;
mod command;
mod compose;
pub mod config;
mod database;
mod environment;
mod first_start;
mod module;
mod modules;
mod move_verb;
mod node;
mod order;
mod parts;
pub mod prelude;
mod progress;
mod scopes;
mod services;
mod settings;
mod start_error;
mod together;
mod verbs;
mod warm_up;

pub use burgeon_cache::Caches;
pub use burgeon_cluster::{Bus, Leases, Limits, Members};
pub use burgeon_core::{
    Cancel, Criticality, Ctx, Deadline, Error, Field, Kind, Money, OrNotFound, Position, Principal, Result,
    Secret, Tenant, Trace, units,
};
pub use burgeon_http::Edge;
pub use burgeon_macros::api;
pub use burgeon_meter::Meters;
pub use burgeon_runtime::{Health, Tasks};
pub use {
    burgeon_cache as cache, burgeon_cluster as cluster, burgeon_core as core, burgeon_db as db,
    burgeon_http as http, burgeon_meter as meter, burgeon_runtime as runtime, clap,
};

pub use app::App;
pub use command::{Command, command};
pub use environment::Environment;
pub use module::Module;
pub use node::Node;
pub use parts::{CommandFn, ModuleFn, Running, StartFn};
pub use progress::Progress;
pub use settings::Config;
pub use start_error::StartError;

/// Declares typed ids over `i64` or `Uuid` that the database, JSON, paths and the API document understand.
///
/// ```
/// burgeon::id! {
///     /// Names a product.
///     pub struct ProductId(i64);
/// }
/// assert_eq!(ProductId(7).to_string(), "7");
/// ```
#[macro_export]
macro_rules! id {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident($of:ty);)+) => {
        $crate::core::id! { $($(#[$meta])* $vis struct $name($of);)+ }
        $crate::db::newtype!($($name($of)),+);
        $crate::http::newtype!($($name($of)),+);
    };
}
