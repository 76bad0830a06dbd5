//! A build without NATS.

use burgeon_cluster::bus::Link;
use burgeon_core::{Error, Result};

use crate::config::{Configuration, Section};

#[derive(Clone)]
pub(crate) struct Broker;

pub(crate) fn section() -> Option<Section> {
    None
}

impl Broker {
    pub(crate) fn read(_: &Configuration) -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn link(&self, _: &str) -> Result<Link> {
        Err(absent())
    }
}

fn absent() -> Error {
    Error::invalid(
        "this program was built without NATS: build it with the feature `nats` of the crate `burgeon`",
    )
}
