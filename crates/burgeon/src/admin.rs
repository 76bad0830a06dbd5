//! The second port: what operators and platforms ask, and the public must not.
//!
//! `GET /livez`, `/readyz`, `/startupz` with reasons; `GET /metrics` for Prometheus; `GET` and `PUT /log`, which reads
//! and changes what is logged until the next start (`curl -X PUT -d info,burgeon_db=debug .../log`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use burgeon_core::Result;
use burgeon_http::{Door, Edge, Mounts};
use burgeon_meter::Meters;
use burgeon_runtime::Health;
use burgeon_telemetry::{LogLevel, Telemetry, prometheus};
use serde::{Deserialize, Serialize};

/// The `[admin]` section: where probes with their reasons are answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether there is a second port at all. Default `true`. The probes without their reasons are answered on the
    /// application's port in any case.
    pub enabled: bool,
    /// The address to listen on. Default `127.0.0.1`: what is said here is for operators. In a container set `0.0.0.0`,
    /// and keep the port inside the cluster.
    pub address: IpAddr,
    /// The port to listen on; 0 takes any free one. Default 3001.
    pub port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 3001 }
    }
}

impl Config {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// A listener with one thread and few connections: nothing here is worth more.
    pub(crate) fn listener(&self) -> burgeon_http::Config {
        burgeon_http::Config {
            address: self.address,
            port: self.port,
            workers: 1,
            connections: 256,
            ..burgeon_http::Config::default()
        }
    }
}

/// What is told here.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) meters: Meters,
    pub(crate) health: Health,
    /// None where the process's log belongs to somebody else, as in a test.
    pub(crate) telemetry: Option<Arc<Telemetry>>,
}

/// Everything that is answered on the second port.
pub(crate) fn edge(config: &Config, observed: Observed) -> Result<Edge> {
    let Observed { meters, health, telemetry } = observed;
    // Where the log belongs to somebody else, nobody changes its level here.
    let level = telemetry.as_ref().map_or_else(LogLevel::foreign, |telemetry| telemetry.level().clone());
    let metrics = move || match &telemetry {
        Some(telemetry) => telemetry.metrics(&meters),
        None => prometheus::render(&meters),
    };
    let mounts = Mounts::new().mount("/", burgeon_http::admin(&health, &level, metrics));
    // Meters of their own: questions about the application are no requests to it.
    Edge::new(&config.listener(), mounts.router(Door::new())?, &Meters::new())
}
