//! How one sees that a server answers, which is more than that it listens.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server does once it is ready to work.
#[derive(Debug)]
pub(crate) enum Ready {
    /// It answers these words with those. No words: it greets by itself. No answer: it is enough that it accepts.
    Says { asked: Cow<'static, str>, answer: Cow<'static, str> },
    /// It writes so into this `postmaster.pid`, and accepts.
    Writes(PathBuf),
}

impl Ready {
    /// Whether the server of this process and port is ready. Not yet is no error.
    pub(crate) async fn is(&self, pid: u32, port: u16) -> bool {
        match self {
            Ready::Says { asked, answer } => says(port, asked, answer).await.unwrap_or(false),
            Ready::Writes(status) => writes(status, pid) && says(port, "", "").await.unwrap_or(false),
        }
    }
}

async fn says(port: u16, asked: &str, answer: &str) -> io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(asked.as_bytes()).await?;
    let mut said = vec![0; answer.len()];
    connection.read_exact(&mut said).await?;
    Ok(said == answer.as_bytes())
}

/// Line 8 of `postmaster.pid`, as `pg_ctl --wait` reads it. The pid in line 1 tells its word from that of a killed
/// predecessor.
fn writes(status: &Path, pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(status) else { return false };
    let mut lines = status.lines();
    let is_ours = lines.next().is_some_and(|first| first.trim() == pid.to_string());
    is_ours && lines.nth(6).is_some_and(|status| status.trim() == "ready")
}
