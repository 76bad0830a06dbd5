//! Opens a connection, and finds out whom it leads to.

use std::pin::Pin;
use std::time::Duration;

use burgeon_core::{Error, Result};
use burgeon_tls::TlsConnector;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo};
use tokio::time::timeout;

use crate::address::Target;
use crate::fault::Failure;
use crate::server::Server;
use crate::{Config, Value};

/// What moves a connection's bytes; while nobody polls it, nothing moves. It ends with the connection.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How to get a connection.
pub(crate) struct Dial {
    pub(crate) target: Target,
    tls: Option<TlsConnector>,
    patience: Duration,
}

/// A connection to a primary.
pub(crate) struct Opened {
    pub(crate) wire: MultiplexedConnection,
    pub(crate) driver: Driver,
    /// None where the user may not ask (`+info` is missing from its rights).
    pub(crate) server: Option<Server>,
}

impl Dial {
    /// Whatever cannot be used is refused here, at start.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let target =
            Target::parse(&config.url).map_err(|why| Error::invalid(format!("`redis.url`: {why}")))?;
        Ok(Self { tls: target.tls(config)?, target, patience: config.connect_timeout })
    }

    /// A connection to whatever answers. What the server says unasked goes to `pushes`.
    pub(crate) async fn open(
        &self,
        pushes: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Driver), String> {
        self.within(self.greet(AsyncConnectionConfig::new().set_push_sender(pushes))).await
    }

    /// A connection to a primary that is ready to work.
    pub(crate) async fn primary(&self) -> Result<Opened, String> {
        self.within(async {
            let (mut wire, mut driver) = self.greet(AsyncConnectionConfig::new()).await?;
            let server = tokio::select! {
                server = introduced(&mut wire) => server?,
                () = &mut driver => return Err(format!("{} closed the connection", self.target.address)),
            };
            if server.as_ref().is_some_and(|server| !server.is_primary) {
                return Err(format!("{} is a replica; only a primary is spoken to", self.target.address));
            }
            Ok(Opened { wire, driver, server })
        })
        .await
    }

    async fn greet(&self, config: AsyncConnectionConfig) -> Result<(MultiplexedConnection, Driver), String> {
        let Target { address, user, password, database, .. } = &self.target;
        let stream = self
            .target
            .open(self.tls.as_ref())
            .await
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        let mut info = RedisConnectionInfo::default().set_db(*database).set_protocol(ProtocolVersion::RESP3);
        if !user.is_empty() {
            info = info.set_username(user);
        }
        if !password.is_empty() {
            info = info.set_password(password.expose());
        }
        // Both are bounded here and in each call, where the caller's deadline is known.
        let config = config.set_connection_timeout(None).set_response_timeout(None);
        let (wire, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| format!("{address} refused the greeting: {}{error}", hint(&error)))?;
        Ok((wire, Box::pin(driver)))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match timeout(self.patience, work).await {
            Ok(done) => done,
            Err(_) => Err(format!("{} did not answer within {:?}", self.target.address, self.patience)),
        }
    }
}

/// One command and its answer, where the driver would take an error that is answered for an answer.
pub(crate) async fn exchange(
    wire: &mut MultiplexedConnection,
    command: &redis::Cmd,
) -> redis::RedisResult<redis::Value> {
    match wire.send_packed_command(command).await? {
        redis::Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}

/// What an operator can do about it.
fn hint(error: &redis::RedisError) -> &'static str {
    let said = error.to_string();
    let is = |word: &str| error.code() == Some(word) || said.contains(word);
    if is("WRONGPASS") || is("NOAUTH") {
        "check the user and password in `redis.url`: "
    } else if is("unknown command") {
        "it must be Redis 6 or newer: "
    } else {
        ""
    }
}

/// Who answers, once it is ready to work. The connection must be driven meanwhile.
pub(crate) async fn introduced(wire: &mut MultiplexedConnection) -> Result<Option<Server>, String> {
    let failed = |error: redis::RedisError| format!("it does not work yet: {error}");
    // While it loads its data it says who it is, and does nothing else.
    exchange(wire, &redis::cmd("PING")).await.map_err(failed)?;
    let mut said = String::new();
    for section in ["server", "replication"] {
        match exchange(wire, redis::cmd("INFO").arg(section)).await {
            Ok(value) => {
                if let Ok(Some(text)) = Value::of(value).bytes() {
                    said.push_str(&String::from_utf8_lossy(&text));
                    said.push('\n');
                }
            }
            Err(error) => match Failure::of(&error) {
                Failure::Answered { code, .. } if code == "NOPERM" => return Ok(None),
                _ => return Err(failed(error)),
            },
        }
    }
    Ok(Server::read(&said))
}
