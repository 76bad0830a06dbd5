//! The second port: what operators and platforms ask, and the public must not.
//!
//! `GET /livez`, `/readyz`, `/startupz` with reasons; `GET /metrics` for Prometheus; `GET` and `PUT /log/level`, which
//! reads and changes what is logged until the next start (`curl -X PUT -d info,burgeon_db=debug .../log/level`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use burgeon_core::{Error, Result};
use burgeon_http::{
    Door, Edge, HeaderName, HeaderValue, Mounts, RouteList, Routes, State, get, header, probes_with_reasons,
    put,
};
use burgeon_meter::Meters;
use burgeon_runtime::Health;
use burgeon_telemetry::{Telemetry, prometheus};
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
    let mounts = Mounts::new().mount("/", probes_with_reasons(&observed.health)).mount("/", routes(observed));
    // Meters of their own: questions about the application are no requests to it.
    Edge::new(&config.listener(), mounts.router(Door::new())?, &Meters::new())
}

fn routes(observed: Observed) -> RouteList {
    Routes::new(observed)
        .routes([get("/metrics", metrics), get("/log/level", level), put("/log/level", set_level)])
        .into()
}

async fn metrics(State(observed): State<Observed>) -> ([(HeaderName, HeaderValue); 1], String) {
    let text = match &observed.telemetry {
        Some(telemetry) => telemetry.metrics(&observed.meters),
        None => prometheus::render(&observed.meters),
    };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(prometheus::CONTENT_TYPE))], text)
}

async fn level(State(observed): State<Observed>) -> Result<String> {
    let level = observed.telemetry.and_then(|telemetry| telemetry.level().get());
    level.ok_or_else(|| Error::not_found("The log of this process is not Burgeon's."))
}

async fn set_level(State(observed): State<Observed>, wanted: String) -> Result<String> {
    let telemetry =
        observed.telemetry.ok_or_else(|| Error::not_found("The log of this process is not Burgeon's."))?;
    telemetry.level().set(wanted.trim())?;
    tracing::warn!(level = wanted.trim(), "what is logged was changed through the admin port");
    telemetry.level().get().ok_or_else(|| Error::not_found("The log of this process is not Burgeon's."))
}
