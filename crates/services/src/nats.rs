//! A NATS of one's own, with JetStream.

use std::ffi::OsString;
use std::ops::Deref;

use rustix::process::Signal;

use crate::binary::{Program, find};
use crate::error::Result;
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;

/// A running NATS server; what it can do is in [`Server`]. Streams live in its directory and survive
/// [`restart`](Server::restart).
#[derive(Debug)]
pub struct Nats {
    server: Server,
}

impl Nats {
    /// A NATS server with JetStream, no password.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start() -> Result<Nats> {
        let binary = find(Program::Nats)?;
        let port = Port::free()?;
        let process = Process::new("NATS", "KILL")?;
        let number = port.number().to_string();
        let mut command = vec![binary.into_os_string()];
        command.extend(["-a", "127.0.0.1", "-p", &number, "-js", "-sd"].map(OsString::from));
        command.push(process.directory().join("streams").into_os_string());
        // It greets first: `INFO {...}`.
        let ready = Ready::Says { asked: "".into(), answer: "INFO ".into() };
        Ok(Nats { server: Server::start(process, command, port, Signal::TERM, ready).await? })
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
