//! A build without Redis.

use burgeon_cache::far::Far;
use burgeon_cluster::bus::Link;
use burgeon_cluster::limits;
use burgeon_core::{Error, Result};
use burgeon_meter::Meters;
use burgeon_runtime::{Health, Tasks};

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

    pub(crate) fn link(&mut self, _: &str, _: &Tasks, _: &Meters) -> Result<Link> {
        Err(absent())
    }

    pub(crate) fn far(&mut self, _: &str, _: &Tasks, _: &Meters) -> Result<Far> {
        Err(absent())
    }

    pub(crate) fn limits(&mut self, _: &Tasks, _: &Meters) -> Result<limits::Store> {
        Err(absent())
    }

    pub(crate) fn tell_the_probes(&self, _: &Health) {}
}

fn absent() -> Error {
    Error::invalid(
        "this program was built without Redis: build it with the feature `redis` of the crate `burgeon` (`features = [\"redis\"]`)",
    )
}
