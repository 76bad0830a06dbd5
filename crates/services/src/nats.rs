//! A NATS of one's own, with JetStream.

use std::ffi::{OsStr, OsString};

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::binary::{Program, find};
use crate::error::Result;
use crate::port::Port;
use crate::process::Process;

/// A running NATS server. Streams live in its directory and survive [`restart`](Self::restart). Dropped, it is stopped
/// and its data removed.
#[derive(Debug)]
pub struct Nats {
    process: Mutex<Process>,
    command: Vec<OsString>,
    port: Port,
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
        let nats = Nats { process: Mutex::new(process), command, port };
        nats.restart().await?;
        Ok(nats)
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
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

/// NATS greets first: `INFO {...}`.
async fn answers(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut greeting = [0; 5];
    connection.read_exact(&mut greeting).await?;
    Ok(&greeting == b"INFO ")
}
