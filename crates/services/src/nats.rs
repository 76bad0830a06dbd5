//! A NATS of one's own, with JetStream.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::binary::{Program, find};
use crate::error::{Error, Result};
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;

/// How a [`Nats`] is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    user: Option<(String, String)>,
    tls: Option<(PathBuf, PathBuf)>,
}

/// A running NATS server; what it can do is in [`Server`]. Streams live in its directory and survive
/// [`restart`](Server::restart).
#[derive(Debug)]
pub struct Nats {
    server: Server,
}

impl Options {
    /// Asks this user and password of everybody. None by default.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((user.into(), password.into()));
        self
    }

    /// Speaks TLS only, with this certificate chain and key, both PEM; they are copied.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Starts it, and returns when it answers.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start(self) -> Result<Nats> {
        let binary = find(Program::Nats)?;
        let port = Port::free()?;
        let process = Process::new("NATS", "KILL")?;
        let number = port.number().to_string();
        let mut command = vec![binary.into_os_string()];
        command.extend(["-a", "127.0.0.1", "-p", &number, "-js", "-sd"].map(OsString::from));
        command.push(process.directory().join("streams").into_os_string());
        if let Some((user, password)) = self.user {
            command.extend(["--user".to_owned(), user, "--pass".to_owned(), password].map(OsString::from));
        }
        if let Some((certificate, key)) = self.tls {
            command.push("--tls".into());
            for (name, path) in [("--tlscert", certificate), ("--tlskey", key)] {
                let pem = std::fs::read(&path)
                    .map_err(|error| Error::io(format!("reading {}", path.display()), error))?;
                command.extend([name.into(), process.write(name, pem)?.into_os_string()]);
            }
        }
        // It greets first, in the clear: `INFO {...}`.
        let ready = Ready::Says { asked: "".into(), answer: "INFO ".into() };
        Ok(Nats { server: Server::start(process, command, port, Signal::TERM, ready).await? })
    }
}

impl Nats {
    /// The options, all at their defaults.
    pub fn options() -> Options {
        Options::default()
    }

    /// A NATS server with JetStream, no password.
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub async fn start() -> Result<Nats> {
        Self::options().start().await
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }
}

impl Deref for Nats {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
