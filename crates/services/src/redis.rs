//! A Redis of one's own.

use std::ffi::OsStr;
use std::ops::Deref;

use rustix::process::Signal;

use crate::binary::{Program, find};
use crate::error::Result;
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;

/// A running Redis; what it can do is in [`Server`]. Nothing is asked for at the door; nothing is written to disk
/// unless [`durable`](Self::durable).
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// A Redis that forgets everything at its end.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start() -> Result<Redis> {
        Self::with("no").await
    }

    /// A Redis that writes every command to its append-only file and the disk, and reads it at [`restart`](Server::restart).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn durable() -> Result<Redis> {
        Self::with("yes").await
    }

    async fn with(append_only: &str) -> Result<Redis> {
        let binary = find(Program::Redis)?;
        let port = Port::free()?;
        let process = Process::new("Redis", "KILL")?;
        let mut command = vec![binary.into_os_string()];
        let directory = process.directory().to_owned();
        for (name, value) in [
            ("--port", OsStr::new(&port.number().to_string())),
            ("--bind", OsStr::new("127.0.0.1")),
            ("--dir", directory.as_os_str()),
            ("--save", OsStr::new("")),
            ("--appendonly", OsStr::new(append_only)),
            ("--appendfsync", OsStr::new("always")),
        ] {
            command.extend([name.into(), value.to_owned()]);
        }
        // While it still loads its file it says `-LOADING`, which is not yet an answer.
        let ready = Ready::Says { asked: "PING\r\n", answer: "+PONG" };
        Ok(Redis { server: Server::start(process, command, port, Signal::TERM, ready).await? })
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
