//! What makes many nodes one application.
//!
//! What this is: a [`Bus`] that tells every node something at once, a [lease] that one node holds at a time and whose
//! term fences what it writes, [members] that say who is alive, and shared [limits]. What it is not: a queue, a consensus protocol, or a place for data. The database that is
//! there already is what the nodes agree on; a broker makes some of it faster and none of it right.
//!
//! # Invariants
//! - No node's clock decides anything between nodes: leases, members and limits go by the database's clock.
//! - What the bus loses is noticed. It delivers at most once and in each sender's order, and says so when it cannot.
//! - A node is known by a number drawn at its start, never by a host name: a restarted node is another node.
//!
//! # When it breaks
//! Without the bus, nodes go on alone and know it ([`State::Cut`]): what they keep in memory ages fast. Without the
//! database nothing here works, and neither does the application.

pub mod bus;
mod config;
pub mod lease;
pub mod limits;
pub mod members;
#[cfg(feature = "nats")]
pub mod nats;
mod node;
mod scope;

pub use bus::{Bus, Delivery, Gap, Message, Stamp, State};
pub use config::{Carrier, Config};
pub use lease::Leases;
pub use limits::Limits;
pub use members::Members;
pub use node::NodeId;
pub use scope::Scope;

/// The tables of leases, members and limits, for the migrator.
pub fn migrations() -> &'static [burgeon_db::Migration] {
    burgeon_db::migrations!["0001_cluster.sql", "0002_limits_of_members.sql"]
}
