//! What carries packets between nodes: a closed set, each with a mouth and an ear.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use burgeon_core::{Ctx, Deadline, Error, Result, units};
use burgeon_db::{Db, Heard, Listener, Notifier};
use bytes::Bytes;
use tokio::time::Instant;

use super::Config;
use super::hub::{Hub, HubEar};
use crate::Scope;

/// How long opening a link may take.
const OPENING: Duration = Duration::from_secs(5);

/// What carries the bus.
pub enum Link {
    /// This process alone.
    InProcess(Hub),
    /// `listen` and `notify` of the application's own database, on a connection of its own.
    Postgres {
        /// The database.
        db: Db,
        /// The channel: one per application, the same on all its nodes.
        channel: String,
    },
    /// Publish and subscribe of Redis, on a connection of its own.
    #[cfg(feature = "redis")]
    Redis {
        /// The server.
        redis: burgeon_redis::Redis,
        /// The channel: one per application, the same on all its nodes.
        channel: String,
    },
    /// Publish and subscribe of NATS.
    #[cfg(feature = "nats")]
    Nats {
        /// The server.
        config: crate::nats::Config,
        /// The subject: one per application, the same on all its nodes.
        subject: String,
    },
}

/// Says packets.
pub(super) enum Mouth {
    Hub(Hub),
    Postgres(Notifier),
    #[cfg(feature = "redis")]
    Redis(burgeon_redis::Publisher),
    #[cfg(feature = "nats")]
    Nats(crate::nats::Mouth),
}

/// Hears packets, its own node's too.
pub(super) enum Ear {
    Hub(HubEar),
    Postgres(Listener),
    #[cfg(feature = "redis")]
    Redis(burgeon_redis::Listener),
    #[cfg(feature = "nats")]
    Nats(crate::nats::Ear),
}

impl Link {
    /// What it is called, in meters and where nodes speak of each other.
    pub fn name(&self) -> &'static str {
        match self {
            Link::InProcess(_) => "in-process",
            Link::Postgres { .. } => "postgres",
            #[cfg(feature = "redis")]
            Link::Redis { .. } => "redis",
            #[cfg(feature = "nats")]
            Link::Nats { .. } => "nats",
        }
    }

    /// How far it carries.
    pub fn scope(&self) -> Scope {
        match self {
            Link::InProcess(_) => Scope::Local,
            Link::Postgres { .. } => Scope::Cluster,
            #[cfg(feature = "redis")]
            Link::Redis { .. } => Scope::Cluster,
            #[cfg(feature = "nats")]
            Link::Nats { .. } => Scope::Cluster,
        }
    }

    /// What two nodes must have in common to hear each other, for [`About::bus`](crate::members::About::bus).
    pub fn fingerprint(&self, config: &Config) -> String {
        let beat = units::format_duration(config.heartbeat);
        match self {
            Link::InProcess(_) => format!("{}, beats every {beat}", self.name()),
            Link::Postgres { channel, .. } => format!("{} {channel}, beats every {beat}", self.name()),
            // Not the address, which may be another name of the same server on each node.
            #[cfg(feature = "redis")]
            Link::Redis { channel, .. } => format!("{} {channel}, beats every {beat}", self.name()),
            #[cfg(feature = "nats")]
            Link::Nats { subject, .. } => format!("{} {subject}, beats every {beat}", self.name()),
        }
    }

    pub(super) async fn open(&self) -> Result<(Mouth, Ear)> {
        let deadline = Deadline::after(Instant::now().into_std(), OPENING);
        let ctx = Ctx::background().with_deadline(deadline);
        match self {
            Link::InProcess(hub) => match hub.connect() {
                Some(ear) => Ok((Mouth::Hub(hub.clone()), Ear::Hub(ear))),
                None => Err(cut()),
            },
            Link::Postgres { db, channel } => {
                let (listener, notifier) = db.listen(&ctx, channel).await?;
                Ok((Mouth::Postgres(notifier), Ear::Postgres(listener)))
            }
            #[cfg(feature = "redis")]
            Link::Redis { redis, channel } => {
                let (listener, publisher) = redis.listen(&ctx, channel).await?;
                Ok((Mouth::Redis(publisher), Ear::Redis(listener)))
            }
            #[cfg(feature = "nats")]
            Link::Nats { config, subject } => {
                let (mouth, ear) = config.open(subject).await?;
                Ok((Mouth::Nats(mouth), Ear::Nats(ear)))
            }
        }
    }
}

impl Mouth {
    /// Says it. An error means that the link is to be opened anew; whether it was heard is not known then.
    pub(super) async fn say(&self, packet: Bytes) -> Result<()> {
        match self {
            Mouth::Hub(hub) => hub.say(&packet).then_some(()).ok_or_else(cut),
            Mouth::Postgres(notifier) => notifier.say(&STANDARD_NO_PAD.encode(&packet)).await,
            #[cfg(feature = "redis")]
            Mouth::Redis(publisher) => publisher.say(&packet).await,
            #[cfg(feature = "nats")]
            Mouth::Nats(mouth) => mouth.say(packet).await,
        }
    }
}

impl Ear {
    /// The next packet. What is lost, or is no packet, shows in the numbers of the next one. Cancel-safe.
    pub(super) async fn hear(&mut self) -> Result<Bytes> {
        match self {
            Ear::Hub(ear) => ear.hear().await.ok_or_else(cut),
            Ear::Postgres(listener) => loop {
                if let Heard::Said(text) = listener.hear().await?
                    && let Ok(packet) = STANDARD_NO_PAD.decode(text)
                {
                    return Ok(packet.into());
                }
            },
            #[cfg(feature = "redis")]
            Ear::Redis(listener) => loop {
                if let burgeon_redis::Heard::Said(packet) = listener.hear().await? {
                    return Ok(packet);
                }
            },
            #[cfg(feature = "nats")]
            Ear::Nats(ear) => ear.hear().await,
        }
    }
}

fn cut() -> Error {
    Error::unavailable("the bus is cut")
}
