//! A Redis of one's own.

use std::ffi::{OsStr, OsString};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::binary::{Program, find};
use crate::error::Result;
use crate::port::Port;
use crate::process::Process;

/// A running Redis. Nothing is asked for at the door; nothing is written to disk unless [`durable`](Self::durable).
/// Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct Redis {
    process: Mutex<Process>,
    command: Vec<OsString>,
    port: Port,
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

    /// A Redis that writes every command to its append-only file and the disk, and reads it at [`restart`](Self::restart).
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
        let redis = Redis { process: Mutex::new(process), command, port };
        redis.restart().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number())
    }

    /// Its port on 127.0.0.1; the same for the life of this value.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Stops it as an administrator would (SIGTERM).
    ///
    /// # Errors
    ///
    /// When it is not running, or did not end within 30 s.
    pub async fn stop(&self) -> Result<()> {
        self.process.lock().await.stop(Signal::TERM).await
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn kill(&self) -> Result<()> {
        self.process.lock().await.kill().await
    }

    /// Starts it again on its port; one that still runs is stopped first.
    ///
    /// # Errors
    ///
    /// When it did not end within 30 s or did not answer within a minute (shows its log).
    pub async fn restart(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        if process.is_running() {
            process.stop(Signal::TERM).await?;
        }
        let command: Vec<&OsStr> = self.command.iter().map(OsString::as_os_str).collect();
        process.start(&command, async |_| answers(self.port()).await.unwrap_or(false)).await
    }

    /// Freezes it: connections stay open, nobody answers.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn pause(&self) -> Result<()> {
        self.process.lock().await.pause()
    }

    /// Thaws it after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn resume(&self) -> Result<()> {
        self.process.lock().await.resume()
    }
}

/// While it still loads its file it says `-LOADING`, which is not yet an answer.
async fn answers(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}
