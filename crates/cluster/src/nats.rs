//! The bus over NATS: publish and subscribe without streams, at most once, which is all that a bus asks.
//!
//! The driver runs tasks of its own, as long as the link is open and at most for one more try to connect. It would open a
//! broken connection again by itself and keep silent about what was lost meanwhile; so the first break ends the link here,
//! and the bus opens a new one and tells its listeners.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subscriber};
use burgeon_core::{Error, Result, Secret, units};
use burgeon_tls::{Roots, Verify};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many packets wait to be heard. What does not fit is lost, which the numbers tell.
const WAITING: usize = 4_096;
/// How long saying a packet may take.
const SAYING: Duration = Duration::from_secs(5);

/// Settings of the connection to NATS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `nats://USER:PASSWORD@HOST:PORT`, of which only the host must be there, `tls://` for TLS. Several servers of one
    /// NATS cluster are separated by commas; the credentials are the first one's. Default empty: there is no NATS.
    pub url: Secret,
    /// The PEM file of the authority that a `tls://` server's certificate must come from. Default empty: those that the
    /// system trusts. The certificate must name the host in either case.
    pub ca_file: PathBuf,
    /// How long opening a connection may take. Default 2 s.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
}

/// Says packets.
pub(crate) struct Mouth {
    client: Client,
    subject: String,
}

/// Hears packets.
pub(crate) struct Ear {
    subscriber: Subscriber,
    broken: watch::Receiver<bool>,
}

/// What the URL says.
struct Target {
    servers: Vec<ServerAddr>,
    user: String,
    password: Secret,
    /// For messages: where, never as whom.
    places: String,
    is_encrypted: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: Secret::new(""), ca_file: PathBuf::new(), connect_timeout: Duration::from_secs(2) }
    }
}

impl Config {
    /// The defaults, and this URL.
    pub fn at(url: impl Into<Secret>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Whether there is a NATS at all.
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Whether the settings make sense. An empty URL does: it means none.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> std::result::Result<(), String> {
        if self.connect_timeout < Duration::from_millis(1) {
            return Err("`nats.connect_timeout` is 0, which leaves no time at all; write 2s".to_owned());
        }
        if self.is_on() {
            let target = Target::parse(&self.url).map_err(|why| format!("`nats.url`: {why}"))?;
            if !target.is_encrypted && !self.ca_file.as_os_str().is_empty() {
                return Err(
                    "`nats.ca_file` is set, but `nats.url` asks for no TLS; write tls://, or remove \
                            `nats.ca_file`"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Where it is, without credentials: `host:port`.
    pub fn address(&self) -> String {
        Target::parse(&self.url).map_or_else(|_| String::new(), |target| target.places)
    }

    pub(crate) async fn open(&self, subject: &str) -> Result<(Mouth, Ear)> {
        self.validate().map_err(Error::invalid)?;
        let target = Target::parse(&self.url).map_err(Error::invalid)?;
        let (breaks, broken) = watch::channel(false);
        let breaks = Arc::new(breaks);
        let mut options = ConnectOptions::new()
            .connection_timeout(self.connect_timeout)
            .subscription_capacity(WAITING)
            // The one that finds out is given up; the driver needs a number above 0 to give up at all.
            .max_reconnects(1)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    breaks.send_replace(true);
                }
                std::future::ready(())
            });
        if !target.user.is_empty() {
            options = options.user_and_password(target.user, target.password.expose().to_owned());
        }
        if target.is_encrypted {
            let roots = match self.ca_file.as_os_str().is_empty() {
                true => Roots::System,
                false => Roots::File(self.ca_file.clone()),
            };
            let config = burgeon_tls::client(&roots, Verify::Full)?;
            options = options.require_tls(true).tls_client_config(Arc::unwrap_or_clone(config));
        }
        let away =
            |why: String| Error::unavailable(format!("NATS at {} is away", target.places)).with_source(why);
        let opening = async {
            let client = options.connect(target.servers).await.map_err(|error| away(error.to_string()))?;
            let subscriber =
                client.subscribe(subject.to_owned()).await.map_err(|error| away(error.to_string()))?;
            client.flush().await.map_err(|error| away(error.to_string()))?;
            Ok((Mouth { client, subject: subject.to_owned() }, Ear { subscriber, broken }))
        };
        timeout(self.connect_timeout, opening)
            .await
            .unwrap_or_else(|_| Err(away(format!("no answer within {:?}", self.connect_timeout))))
    }
}

impl Mouth {
    /// Says it: it has left this process. Whether it was heard the numbers tell.
    pub(crate) async fn say(&self, packet: Bytes) -> Result<()> {
        let broken = |error: String| Error::unavailable("NATS does not take what is said").with_source(error);
        let saying = async {
            self.client
                .publish(self.subject.clone(), packet)
                .await
                .map_err(|error| broken(error.to_string()))?;
            self.client.flush().await.map_err(|error| broken(error.to_string()))
        };
        timeout(SAYING, saying).await.unwrap_or_else(|_| Err(broken(format!("not within {SAYING:?}"))))
    }
}

impl Ear {
    /// The next packet; an error once the connection has broken, even if the driver has opened another. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Result<Bytes> {
        tokio::select! {
            biased;
            // An error says that the driver is gone altogether.
            _ = self.broken.wait_for(|broken| *broken) => Err(ended()),
            message = self.subscriber.next() => message.map(|message| message.payload).ok_or_else(ended),
        }
    }
}

fn ended() -> Error {
    Error::unavailable("the connection to NATS has ended")
}

impl Target {
    /// Takes the URL apart. The error is a sentence without any part of the URL in it.
    fn parse(url: &Secret) -> std::result::Result<Self, String> {
        let mut target = Target {
            servers: Vec::new(),
            user: String::new(),
            password: Secret::new(""),
            places: String::new(),
            is_encrypted: false,
        };
        for (index, url) in url.expose().split(',').map(str::trim).enumerate() {
            let (scheme, rest) = url
                .split_once("://")
                .filter(|(scheme, _)| matches!(*scheme, "nats" | "tls"))
                .ok_or("it must begin with nats:// or tls://, such as nats://user:password@host:4222")?;
            if rest.matches('@').count() > 1 {
                return Err("it has more than one `@`; NATS allows none in a user or password".to_owned());
            }
            let (credentials, place) = rest.split_once('@').unwrap_or(("", rest));
            let place = place.trim_end_matches('/');
            if index == 0 {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                if !user.is_empty() && password.is_empty() {
                    return Err("it has a user and no password".to_owned());
                }
                (target.user, target.password) = (user.to_owned(), Secret::new(password));
                target.is_encrypted = scheme == "tls";
            }
            let server = format!("{scheme}://{place}").parse().ok().filter(|_| !place.is_empty());
            target.servers.push(server.ok_or("its host or port is malformed")?);
            if index > 0 {
                target.places.push_str(", ");
            }
            target.places.push_str(place);
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom_and_a_malformed_one_is_not_repeated() {
        let target = Target::parse(&Secret::new("nats://ann:secret@one:4222,nats://two:4223/")).unwrap();
        assert_eq!((target.user.as_str(), target.password.expose()), ("ann", "secret"));
        assert_eq!((target.servers.len(), target.places.as_str()), (2, "one:4222, two:4223"));
        assert!(!target.is_encrypted && Target::parse(&Secret::new("tls://one")).unwrap().is_encrypted);
        for bad in [
            "hunter2@one",
            "nats://hunter2@one",
            "nats://a:hunter2@b@one",
            "nats://a:hunter2@",
            "nats://a:hunter2@one:x",
        ] {
            let why = Config::at(bad).validate().unwrap_err();
            assert!(why.contains("`nats.url`") && !why.contains("hunter2"), "{bad}: {why}");
        }
        assert_eq!(Config::default().validate(), Ok(()));
        assert!(Config { ca_file: "ca.pem".into(), ..Config::at("nats://one") }.validate().is_err());
    }
}
