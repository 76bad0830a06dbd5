//! The second port: what operators and platforms ask, and the public must not.

use std::net::{IpAddr, Ipv4Addr};

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
