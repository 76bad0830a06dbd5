//! A Redis of one's own.

use std::ops::Deref;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::binary::{Program, find};
use crate::error::{Error, Result};
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;

/// How a [`Redis`] is started.
///
/// ```no_run
/// # async fn example() -> burgeon_services::Result<()> {
/// let durable = burgeon_services::Redis::options().durable(true).password("secret").start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    durable: bool,
    password: Option<String>,
    tls: Option<(PathBuf, PathBuf)>,
    settings: Vec<(String, String)>,
}

/// A running Redis; what it can do is in [`Server`]. Nothing is asked for at the door, and nothing is written to disk,
/// unless its [`Options`] say so.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    tls: Option<Port>,
}

impl Options {
    /// Whether every command goes to its append-only file and the disk, and is read again at
    /// [`restart`](Server::restart). Off by default: it forgets everything at its end.
    #[must_use]
    pub fn durable(mut self, on: bool) -> Self {
        self.durable = on;
        self
    }

    /// Asks this password of everybody. None by default.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Offers TLS on a [port of its own](Redis::tls_port), with this certificate chain and key, both PEM; they are copied.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Any other setting: `setting("maxmemory", "10mb")`. The latest one wins, over ours too.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Starts it, and returns when it answers.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start(self) -> Result<Redis> {
        let binary = find(Program::Redis)?;
        let port = Port::free()?;
        let process = Process::new("Redis", "KILL")?;
        let mut settings: Vec<(String, String)> = [
            ("port", port.number().to_string()),
            ("bind", "127.0.0.1".to_owned()),
            ("dir", process.directory().display().to_string()),
            ("save", String::new()),
            ("appendonly", if self.durable { "yes" } else { "no" }.to_owned()),
            ("appendfsync", "always".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut tls = None;
        if let Some((certificate, key)) = &self.tls {
            for (name, path) in [("tls-cert-file", certificate), ("tls-key-file", key)] {
                let pem = std::fs::read(path)
                    .map_err(|error| Error::io(format!("reading {}", path.display()), error))?;
                settings.push((name.to_owned(), process.write(name, pem)?.display().to_string()));
            }
            let port = Port::free()?;
            settings.push(("tls-port".to_owned(), port.number().to_string()));
            settings.push(("tls-auth-clients".to_owned(), "no".to_owned()));
            tls = Some(port);
        }
        // While it still loads its file it says `-LOADING`, which is not yet an answer.
        let mut ready = Ready::Says { asked: "PING\r\n".into(), answer: "+PONG".into() };
        if let Some(password) = self.password {
            ready = Ready::Says {
                asked: format!("AUTH {password:?}\r\nPING\r\n").into(),
                answer: "+OK\r\n+PONG".into(),
            };
            settings.push(("requirepass".to_owned(), password));
        }
        settings.extend(self.settings);
        let mut command = vec![binary.into_os_string()];
        for (name, value) in settings {
            command.extend([format!("--{name}").into(), value.into()]);
        }
        Ok(Redis { server: Server::start(process, command, port, Signal::TERM, ready).await?, tls })
    }
}

impl Redis {
    /// The options, all at their defaults.
    pub fn options() -> Options {
        Options::default()
    }

    /// A Redis that forgets everything at its end.
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub async fn start() -> Result<Redis> {
        Self::options().start().await
    }

    /// A Redis that writes every command to its append-only file and the disk, and reads it at [`restart`](Server::restart).
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub async fn durable() -> Result<Redis> {
        Self::options().durable(true).start().await
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The port on which it speaks TLS, if it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls.as_ref().map(Port::number)
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
