//! What every server of this crate can do once it runs: end, die, come back, freeze, and show its log.

use std::ffi::{OsStr, OsString};

use rustix::process::Signal;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Result;
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;

/// A running server: what [`Postgres`](crate::Postgres), [`Redis`](crate::Redis), [`Nats`](crate::Nats) and
/// [`PgBouncer`](crate::PgBouncer) have in common, and dereference to. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Process>,
    command: Vec<OsString>,
    port: Port,
    end: Signal,
    ready: Ready,
}

impl Server {
    /// Starts `command` in this process's directory and returns when it is `ready`. `end` is how an administrator
    /// would stop it.
    pub(crate) async fn start(
        process: Process,
        command: Vec<OsString>,
        port: Port,
        end: Signal,
        ready: Ready,
    ) -> Result<Server> {
        let server = Server { process: Mutex::new(process), command, port, end, ready };
        server.restart().await?;
        Ok(server)
    }

    /// Its port on 127.0.0.1; the same for the life of this value.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Stops it as an administrator would: Postgres with SIGINT ("fast shutdown": clients are disconnected, data is
    /// flushed), the others with SIGTERM.
    ///
    /// # Errors
    ///
    /// When it is not running, or did not end within 30 s.
    pub async fn stop(&self) -> Result<()> {
        self.process.lock().await.stop(self.end).await
    }

    /// Kills it and all its children with SIGKILL, as a power cut would.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn kill(&self) -> Result<()> {
        self.process.lock().await.kill().await
    }

    /// Starts it again on its data and port; one that still runs is stopped first.
    ///
    /// # Errors
    ///
    /// When it did not end within 30 s or did not answer within a minute (shows its log).
    pub async fn restart(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        if process.is_running() {
            process.stop(self.end).await?;
        }
        let command: Vec<&OsStr> = self.command.iter().map(OsString::as_os_str).collect();
        process.start(&command, async |pid| self.ready.is(pid, self.port()).await).await
    }

    /// Freezes it and its children: connections stay open, new ones are accepted by the kernel, nobody answers.
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

    /// The end of its log, for a person who looks for a reason.
    pub async fn log(&self) -> String {
        self.process.lock().await.failed("was asked for its log").to_string()
    }

    pub(crate) async fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().await
    }
}
