//! The `[http]` section: where the edge listens, how long it waits, and how much it takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use burgeon_core::units::Size;

/// Where the edge listens, how long it waits, and how much it takes. All of it is on by default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on. Default `127.0.0.1`: what is under development is not the network's business. In a
    /// container or behind a load balancer set `0.0.0.0` (or `::`).
    pub address: IpAddr,
    /// The port to listen on; 0 takes any free one. Default 3000.
    pub port: u16,
    /// Threads that serve, each with its own runtime and (on Linux) its own listener; 0 means one per core. Default 0.
    pub workers: usize,
    /// The most connections open at once. Above it new ones wait in the kernel's queue until one closes. Lowered at
    /// start to what the process may open (file limit less 256), with a warning. Default 10,000.
    pub connections: usize,

    /// How long a new connection may take to say its first whole request head (with TLS: also the handshake), and a
    /// kept one to finish a head it has begun. Default 10 s. At the limit the connection is closed.
    #[serde(with = "burgeon_core::units::duration")]
    pub head_timeout: Duration,
    /// How long a kept connection may rest between requests. Default 60 s, which is more than the 55 s that a gateway
    /// in front keeps its own. At the limit it is closed.
    #[serde(with = "burgeon_core::units::duration")]
    pub idle_timeout: Duration,
    /// How long a request body may pause. Default 30 s. At the limit the handler's read fails with 408.
    #[serde(with = "burgeon_core::units::duration")]
    pub body_pause: Duration,
    /// How long a request body may take as a whole. Default 5 min; the route's own timeout usually ends it earlier.
    #[serde(with = "burgeon_core::units::duration")]
    pub body_total: Duration,
    /// How long a client may take nothing of a response that waits for it. Default 30 s. At the limit the connection
    /// is closed, so that slow readers cannot pin responses in memory.
    #[serde(with = "burgeon_core::units::duration")]
    pub write_pause: Duration,
    /// The largest request head, in bytes. Default 32KiB; larger ones are answered with 431. At most 100 header fields.
    pub head_size: Size,
    /// The most requests that one HTTP/2 connection may have under way. Default 200.
    pub streams: u32,

    /// What a request may take where its route says nothing. Default 15 s.
    #[serde(with = "burgeon_core::units::duration")]
    pub timeout: Duration,
    /// What no request may exceed, whatever its route says. Default 60 s.
    #[serde(with = "burgeon_core::units::duration")]
    pub timeout_cap: Duration,
    /// The largest request body where the route says nothing. Default 2MiB; larger ones are answered with 413.
    pub body_limit: Size,

    /// Networks (`10.0.0.0/8`, `192.0.2.7`, `fd00::/8`) whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-Id`
    /// are believed: the load balancers in front. Default none: anyone could send these.
    pub trusted_proxies: Vec<String>,
    /// Whether compressible responses above 1 KiB are compressed for clients that accept it. Default true.
    pub compression: bool,
    /// The `Content-Security-Policy` of responses that bring none of their own; empty means none. The default lets a
    /// page load from its own origin only, and nobody frame it.
    pub content_security_policy: String,
    /// How long browsers shall use TLS only (`Strict-Transport-Security`), sent over TLS alone; zero sends none.
    /// Default 365 days.
    #[serde(with = "burgeon_core::units::duration")]
    pub hsts: Duration,
    /// Which other origins' pages may call this one. Default none.
    pub cors: Cors,
    /// The certificate to serve TLS with. Default none: plain HTTP/1.1 and HTTP/2, as behind a load balancer.
    pub tls: Tls,
}

/// Cross-origin resource sharing (Fetch standard, CORS protocol). Off while `origins` is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example.com` whose pages may read responses, or `*` for all (without credentials).
    pub origins: Vec<String>,
    /// Whether their requests may carry cookies. Refused together with `*`.
    pub credentials: bool,
    /// Request headers they may set beyond the safelisted ones. Default none.
    pub headers: Vec<String>,
    /// How long a browser may remember the answer. Zero leaves it to the browser. Default zero.
    #[serde(with = "burgeon_core::units::duration")]
    pub max_age: Duration,
}

/// Where certificate and key lie, both PEM. TLS is on when both are set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the server's own first. Default none.
    pub certificate: PathBuf,
    /// Its private key. Default none.
    pub key: PathBuf,
}

impl Tls {
    /// Whether TLS is served.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 3000,
            workers: 0,
            connections: 10_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_pause: Duration::from_secs(30),
            body_total: Duration::from_secs(300),
            write_pause: Duration::from_secs(30),
            head_size: Size::kib(32),
            streams: 200,
            timeout: Duration::from_secs(15),
            timeout_cap: Duration::from_secs(60),
            body_limit: Size::mib(2),
            trusted_proxies: Vec::new(),
            compression: true,
            content_security_policy: "default-src 'self'; img-src 'self' data:; style-src 'self' \
                 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
                .to_owned(),
            hsts: Duration::from_secs(365 * 24 * 3600),
            cors: Cors::default(),
            tls: Tls::default(),
        }
    }
}

impl Config {
    /// Where to listen.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Whether it can be served.
    ///
    /// # Errors
    /// A sentence naming the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        let waits = [
            ("head_timeout", self.head_timeout),
            ("idle_timeout", self.idle_timeout),
            ("body_pause", self.body_pause),
            ("body_total", self.body_total),
            ("write_pause", self.write_pause),
            ("timeout", self.timeout),
            ("timeout_cap", self.timeout_cap),
        ];
        if let Some((key, _)) = waits.into_iter().find(|(_, wait)| wait.is_zero()) {
            return Err(format!(
                "http.{key} is zero, so nothing could be served; leave it out for the default"
            ));
        }
        if self.timeout > self.timeout_cap {
            return Err(
                "http.timeout is above http.timeout_cap; raise the cap or lower the timeout".to_owned()
            );
        }
        if self.connections == 0 || self.streams == 0 {
            return Err("http.connections and http.streams must be at least 1".to_owned());
        }
        if self.head_size < Size::kib(8) {
            return Err("http.head_size is below 8KiB, the least that browsers need".to_owned());
        }
        if self.tls.is_on() == self.tls.key.as_os_str().is_empty() {
            return Err("http.tls needs both certificate and key, or neither".to_owned());
        }
        if self.cors.credentials && self.cors.origins.iter().any(|origin| origin == "*") {
            return Err(
                "http.cors.origins is `*` with credentials, which every browser refuses; list the origins"
                    .to_owned(),
            );
        }
        crate::stack::Networks::parse(&self.trusted_proxies).map(drop)?;
        crate::stack::headers_of(self).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_a_wrong_value_names_its_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = [
            (Config { idle_timeout: Duration::ZERO, ..Config::default() }, "http.idle_timeout"),
            (Config { timeout: Duration::from_secs(90), ..Config::default() }, "http.timeout_cap"),
            (Config { connections: 0, ..Config::default() }, "http.connections"),
            (Config { head_size: Size::bytes(1), ..Config::default() }, "http.head_size"),
            (Config { trusted_proxies: vec!["10.0.0.0/33".to_owned()], ..Config::default() }, "10.0.0.0/33"),
            (
                Config { content_security_policy: "a\nb".to_owned(), ..Config::default() },
                "content_security_policy",
            ),
        ];
        for (config, key) in wrong {
            let message = config.validate().unwrap_err();
            assert!(message.contains(key), "{message}");
        }
    }
}
