//! Postgres and SQLite behind one honest API: statements, rows, transactions, migrations.
//!
//! What this is: [`Db`], opened from a [`Config`]; statements written by hand with [`sql!`] and known by name; rows read
//! into the program's own types; transactions with what is tied to their end. What it is not: an ORM, a query parser,
//! or a trait over databases. The two engines are a closed set, each used in the way it is fastest, and one text of
//! portable SQL usually serves both.
//!
//! ```no_run
//! use burgeon_core::{Ctx, Money, Result};
//! use burgeon_db::{Config, Db, Row, sql};
//!
//! #[derive(Row)]
//! struct Product {
//!     id: i64,
//!     name: String,
//!     price: Money,
//! }
//!
//! # async fn example(ctx: &Ctx, tasks: &burgeon_runtime::Tasks, meters: &burgeon_meter::Meters) -> Result<()> {
//! let db = Db::open(&Config::at("sqlite:shop.db"), tasks, meters).await?;
//! let found: Option<Product> =
//!     sql!("find_product", "select id, name, price from product where id = $1", 7_i64).optional(&db.read(ctx)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! - Acknowledged means committed, on both engines.
//! - Nothing waits without a bound: the request's deadline, or the limits of [`Config`], whichever is stricter.
//! - Every failure is a [`Fault`] behind the house's error, with the statement's name and line.

mod beside;
mod bulk;
mod cell;
mod check;
mod claim;
mod clock;
mod column;
mod config;
mod db;
/// Statements whose shape is known only at run time.
pub mod dynamic;
mod engine;
mod fault;
mod increments;
mod json;
mod json_row;
pub mod keyset;
mod listen;
mod meters;
mod migrate;
mod mover;
mod newtype;
mod on;
mod plan;
mod postgres;
mod query;
/// The trait that rows are read through.
pub mod row;
mod rows;
mod sql;
mod sqlite;
mod stmt;
mod stream;
mod tx;
mod unwritten;
mod value;

pub use burgeon_macros::Row;

pub use bulk::{Bulk, Record, bulk};
pub use cell::{Cell, Mismatch};
pub use check::Unprepared;
pub use claim::{Claim, Claimed};
pub use column::Column;
pub use config::{Config, Sqlite, Synchronous};
pub use db::Db;
pub use engine::Engine;
pub use fault::Fault;
pub use increments::Increments;
pub use json::Json;
pub use json_row::json_array;
pub use listen::{Heard, Listener, Notifier};
pub use migrate::{Migration, Migrator, State, Step};
pub use mover::{Closed, Left, Moved, MovedTable, Mover, Stage, Told};
pub use on::{On, Read, Write};
pub use plan::Plan;
pub use postgres::{Config as Postgres, Pooler, Routing, ServerView as Server};
pub use query::{Query, Reads, Writes};
pub use row::{Columns, Row, RowView, Unreadable};
pub use stmt::{Class, Place, STATEMENTS, Stmt};
pub use tx::{BoxFuture, Tx};
pub use value::{Item, Param, Type, Value};

pub use sea_query;

/// For the expansions of this crate's macros.
#[doc(hidden)]
pub mod private {
    pub use burgeon_macros::{migration_files, sql_statement};
    pub use linkme;

    pub use crate::json_row::JsonObject;
}
