//! A client of HTTP/1.1 on kept connections, which does what any API client should: it gives the position back that it
//! was given.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failure;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Client {
    connections: HashMap<u16, TcpStream>,
    /// What the last write was answered with.
    pub position: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Client {
    /// Asks the node on this port; the position travels with it if there is one.
    pub async fn ask(&mut self, port: u16, method: &str, path: &str) -> Result<Answer, Failure> {
        let answered = timeout(PATIENCE, self.exchange(port, method, path)).await;
        let answered = answered.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}").into()));
        if answered.is_err() {
            self.connections.remove(&port);
        }
        answered
    }

    async fn exchange(&mut self, port: u16, method: &str, path: &str) -> Result<Answer, Failure> {
        let stream = match self.connections.entry(port) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(none) => {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        let position = self
            .position
            .as_ref()
            .map(|position| format!("Burgeon-Position: {position}\r\n"))
            .unwrap_or_default();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{position}\r\n");
        stream.write_all(head.as_bytes()).await?;

        let mut read = Vec::with_capacity(1024);
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Err("the connection was closed".into());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let status: u16 = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while read.len() < end + length {
            if stream.read_buf(&mut read).await? == 0 {
                return Err("half a body".into());
            }
        }
        if let Some(position) = field("burgeon-position") {
            self.position = Some(position);
        }
        let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let body = String::from_utf8_lossy(&read[end..end + length]).into_owned();
        if closes {
            self.connections.remove(&port);
        }
        Ok(Answer { status, body })
    }
}
