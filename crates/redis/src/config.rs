//! Where Redis is and how long anything may wait for it.

use std::path::PathBuf;
use std::time::Duration;

use burgeon_core::{Secret, units};
use serde::{Deserialize, Serialize};

use crate::address::Target;

/// Settings of [`Redis`](crate::Redis).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `redis://USER:PASSWORD@HOST:PORT/NUMBER`, of which only the host must be there; `rediss://` for TLS; `unix:PATH` for a
    /// socket in the file system. Default empty: there is no Redis.
    pub url: Secret,
    /// The PEM file of the authority that a `rediss://` server's certificate must come from. Default empty: those that the system
    /// trusts. The certificate must name the host in either case.
    pub ca_file: PathBuf,
    /// How long opening a connection may take, greeting included. Default 2 s.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// How long an answer may take. Default 1 s: whoever asks Redis does it to be fast. The caller's own deadline counts where
    /// it is stricter. Five timeouts in a row open the breaker.
    #[serde(with = "units::duration")]
    pub response_timeout: Duration,
    /// How often the server is asked whether it is there and still the primary. Default 1 s. Without an answer within
    /// `response_timeout` the connection is given up and opened anew.
    #[serde(with = "units::duration")]
    pub heartbeat: Duration,
    /// How many calls may be under way. Default 4096; beyond, a call is refused at once.
    pub in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: Secret::new(""),
            ca_file: PathBuf::new(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            in_flight: 4_096,
        }
    }
}

impl Config {
    /// The defaults, and this URL.
    pub fn at(url: impl Into<Secret>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Whether there is a Redis at all.
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Whether the settings make sense. An empty URL does: it means none.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        for (key, duration) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("heartbeat", self.heartbeat),
        ] {
            if duration < Duration::from_millis(1) {
                return Err(format!("`redis.{key}` is 0, which leaves no time at all; write 1s"));
            }
        }
        if !(1..=65_536).contains(&self.in_flight) {
            return Err(format!("`redis.in_flight` is {}; write 1 to 65536", self.in_flight));
        }
        if self.is_on() {
            let target = Target::parse(&self.url).map_err(|why| format!("`redis.url`: {why}"))?;
            if !target.is_encrypted && !self.ca_file.as_os_str().is_empty() {
                return Err(
                    "`redis.ca_file` is set, but `redis.url` asks for no TLS; write rediss://, or remove \
                            `redis.ca_file`"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named_with_its_remedy_and_no_url_means_none() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert!(!Config::default().is_on());
        let good = Config::at("redis://localhost");
        assert_eq!(good.validate(), Ok(()));
        for (bad, named) in [
            (Config { response_timeout: Duration::ZERO, ..good.clone() }, "redis.response_timeout"),
            (Config { in_flight: 0, ..good.clone() }, "redis.in_flight"),
            (Config { ca_file: "ca.pem".into(), ..good }, "rediss://"),
            (Config::at("http://:hunter2@localhost"), "redis.url"),
        ] {
            let why = bad.validate().unwrap_err();
            assert!(why.contains(named) && !why.contains("hunter2"), "{why}");
        }
    }
}
