//! Redis and NATS, as far as this build has them: their sections, and what is made of them.
//!
//! Each is one of two files of the same shape, by the cargo feature of its name: the real one, or one that has no section
//! and says which feature is missing.

#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(not(feature = "nats"))]
#[path = "brokers/no_nats.rs"]
pub(crate) mod nats;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(not(feature = "redis"))]
#[path = "brokers/no_redis.rs"]
pub(crate) mod redis;

use crate::config::{Configuration, Section};

/// What there is besides the database.
#[derive(Clone)]
pub(crate) struct Brokers {
    pub(crate) redis: redis::Broker,
    pub(crate) nats: nats::Broker,
}

/// Their sections.
pub(crate) fn sections() -> impl Iterator<Item = Section> {
    redis::section().into_iter().chain(nats::section())
}

impl Brokers {
    /// None where a section was not read.
    pub(crate) fn read(configuration: &Configuration) -> Option<Self> {
        Some(Self { redis: redis::Broker::read(configuration)?, nats: nats::Broker::read(configuration)? })
    }
}
