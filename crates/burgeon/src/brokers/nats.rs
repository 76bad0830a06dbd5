//! NATS: what carries the bus, and nothing else.

use burgeon_cluster::bus::Link;
use burgeon_cluster::nats::Config;
use burgeon_core::{Error, Result};

use crate::config::{Configuration, Section};

/// What is configured.
#[derive(Clone)]
pub(crate) struct Broker {
    config: Config,
}

/// The section `[nats]`.
pub(crate) fn section() -> Option<Section> {
    Some(Section::new("nats", Config::validate))
}

impl Broker {
    pub(crate) fn read(configuration: &Configuration) -> Option<Self> {
        Some(Self { config: configuration.section("nats")? })
    }

    /// What carries the bus.
    pub(crate) fn link(&self, application: &str) -> Result<Link> {
        match self.config.is_on() {
            true => Ok(Link::Nats { config: self.config.clone(), subject: format!("burgeon.{application}") }),
            false => Err(Error::invalid(
                "`cluster.link` asks for NATS, and `nats.url` is empty; write where it is",
            )),
        }
    }
}
