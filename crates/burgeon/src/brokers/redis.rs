//! Redis: one connection for all that use it, opened when the first asks.

use burgeon_cache::far::Far;
use burgeon_cluster::bus::Link;
use burgeon_cluster::limits;
use burgeon_core::{Error, Result};
use burgeon_meter::Meters;
use burgeon_redis::{Config, Redis, State};
use burgeon_runtime::{Health, Tasks};

use crate::config::{Configuration, Section};

/// What is configured, and what was made of it.
#[derive(Clone)]
pub(crate) struct Broker {
    config: Config,
    handle: Option<Redis>,
}

/// The section `[redis]`.
pub(crate) fn section() -> Option<Section> {
    Some(Section::new("redis", Config::validate))
}

impl Broker {
    pub(crate) fn read(configuration: &Configuration) -> Option<Self> {
        Some(Self { config: configuration.section("redis")?, handle: None })
    }

    /// What carries the bus.
    pub(crate) fn link(&mut self, application: &str, tasks: &Tasks, meters: &Meters) -> Result<Link> {
        let redis = self.redis("cluster.link", tasks, meters)?;
        Ok(Link::Redis { redis, channel: format!("burgeon:{application}") })
    }

    /// The second tier of the caches.
    pub(crate) fn far(&mut self, application: &str, tasks: &Tasks, meters: &Meters) -> Result<Far> {
        Ok(Far::redis(&self.redis("cache.far.store", tasks, meters)?, application))
    }

    /// Where shared limits are counted.
    pub(crate) fn limits(&mut self, tasks: &Tasks, meters: &Meters) -> Result<limits::Store> {
        Ok(limits::Store::from(&self.redis("cluster.limits", tasks, meters)?))
    }

    /// What `/readyz` says of it: trouble with it makes the node slower and not wrong.
    pub(crate) fn tell_the_probes(&self, health: &Health) {
        let Some(redis) = self.handle.clone() else { return };
        health.condition("redis", move || match redis.state() {
            State::Connected(_) => Ok(()),
            State::Opening => Err("the first connection is being opened".to_owned()),
            State::Away { why } => Err(why.to_string()),
        });
    }

    fn redis(&mut self, wants: &str, tasks: &Tasks, meters: &Meters) -> Result<Redis> {
        if !self.config.is_on() {
            return Err(Error::invalid(format!(
                "`{wants}` asks for Redis, and `redis.url` is empty; write where it is: `url = \"redis://HOST:6379\"` under `[redis]`"
            )));
        }
        match &self.handle {
            Some(redis) => Ok(redis.clone()),
            None => Ok(self.handle.insert(Redis::connect(&self.config, tasks, meters)?).clone()),
        }
    }
}
