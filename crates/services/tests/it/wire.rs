//! The least of each protocol that a test needs to know whether a server really answers.

use std::io::{Error, Result};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a loaded machine, short enough for a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a command to Redis and returns what comes back in one read.
pub(crate) async fn redis(port: u16, command: &str) -> Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    say(&mut connection, command).await
}

/// The same over a connection that is kept.
pub(crate) async fn say(connection: &mut TcpStream, command: &str) -> Result<String> {
    connection.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let read = connection.read(&mut answer).await?;
    if read == 0 {
        return Err(Error::other("the connection ended"));
    }
    Ok(String::from_utf8_lossy(&answer[..read]).trim_end().to_owned())
}

/// Runs SQL through `psql` with this URL, as any client would.
pub(crate) async fn psql(url: &str, sql: &str) -> Result<String> {
    let output = tokio::process::Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
        .args(["--dbname", url, "--command", sql])
        .env("PGCONNECT_TIMEOUT", "5")
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
