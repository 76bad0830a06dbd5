//! The shop as a process: started, asked, killed without warning.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Failure;

pub struct Shop {
    child: Child,
    port: u16,
}

/// Where a shop keeps its data and its log.
#[derive(Clone)]
pub struct Site {
    pub binary: PathBuf,
    pub directory: PathBuf,
    pub database_url: String,
}

/// What came back, if anything did.
pub enum Answer {
    Said {
        status: u16,
        body: Value,
    },
    /// The connection broke before a whole answer: nobody knows what happened.
    Nothing,
}

impl Shop {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(site: &Site, patience: Duration) -> Result<Shop, Failure> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(site.directory.join("shop.log"))?;
        let child = Command::new(&site.binary)
            .current_dir(&site.directory)
            .env("DATABASE_URL", &site.database_url)
            .env("PORT", port.to_string())
            .env("BURGEON__ADMIN__PORT", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let mut shop = Shop { child, port };
        let started = Instant::now();
        loop {
            if let Answer::Said { status: 200, .. } = ask(port, "GET", "/readyz", None).await {
                return Ok(shop);
            }
            if let Some(status) = shop.child.try_wait()? {
                let log = std::fs::read_to_string(site.directory.join("shop.log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(
                    format!("the shop ended before it was ready: {status}\n{}", tail.join("\n")).into()
                );
            }
            if started.elapsed() > patience {
                return Err(format!("the shop was not ready within {patience:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: no destructor runs, no buffer is flushed.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
}

/// One request on a connection of its own.
pub async fn ask(port: u16, method: &str, path: &str, body: Option<&Value>) -> Answer {
    match exchange(port, method, path, body).await {
        Ok((status, body)) => Answer::Said { status, body },
        Err(_) => Answer::Nothing,
    }
}

async fn exchange(
    port: u16,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8(answer)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("half an answer")?;
    let status: u16 = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
    });
    // A body cut short by the kill is no acknowledgement.
    if length.is_some_and(|length| length != body.len()) {
        return Err("half a body".into());
    }
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}
