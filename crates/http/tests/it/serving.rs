//! A server on a free port, a client that speaks bytes, and a way to stop.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use burgeon_meter::Meters;
use burgeon_runtime::{Lifecycle, Service, Tasks};

use burgeon_http::{Arriving, Config, Connection, Edge, Server};

/// A port of the kernel's choice, two cores, and timeouts short enough to be awaited.
pub(crate) fn quick() -> Config {
    Config {
        port: 0,
        workers: 2,
        head_timeout: Duration::from_millis(600),
        idle_timeout: Duration::from_millis(1500),
        body_pause: Duration::from_millis(600),
        write_pause: Duration::from_millis(600),
        ..Config::default()
    }
}

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// What the server counts.
    pub(crate) meters: Meters,
    stop: Option<oneshot::Sender<Duration>>,
    ended: JoinHandle<()>,
}

impl Served {
    /// Serves `handler` on a runtime of its own, as the binary does.
    #[expect(clippy::disallowed_methods, reason = "a test owns its tasks and awaits them")]
    pub(crate) fn start<H, F>(config: &Config, handler: H) -> Self
    where
        H: Fn(Request<Arriving>, &Connection) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let server = Server::bind(config).unwrap();
        let (address, meters) = (server.address(), Meters::new());
        let (stop, stopped) = oneshot::channel::<Duration>();
        let counted = meters.clone();
        let ended = tokio::spawn(async move {
            let drain = async {
                let grace = stopped.await.unwrap_or(Duration::from_secs(5));
                Instant::now() + grace
            };
            let tasks = Tasks::new(&counted);
            server.serve(handler, &tasks, drain).await.unwrap();
            tasks.stop(Duration::from_secs(5)).await.unwrap();
        });
        Self { address, meters, stop: Some(stop), ended }
    }

    /// Serves an application inside the standard stack, as a service of the process.
    #[expect(clippy::disallowed_methods, reason = "a test owns its tasks and awaits them")]
    pub(crate) fn edge(config: &Config, edge: Edge) -> Self {
        let server = Server::bind(config).unwrap();
        let (address, meters) = (server.address(), Meters::new());
        let (stop, stopped) = oneshot::channel::<Duration>();
        let lifecycle = Lifecycle::new(burgeon_runtime::Config::default(), &meters)
            .service(Service::new("http", |life| server.run(edge, life)));
        let ended = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            lifecycle.run(until).await.unwrap();
        });
        Self { address, meters, stop: Some(stop), ended }
    }

    /// Begins to drain; [`ended`](Self::ended) awaits the end.
    pub(crate) fn drain(&mut self, grace: Duration) {
        self.stop.take().unwrap().send(grace).unwrap();
    }

    pub(crate) async fn ended(self) {
        self.ended.await.unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.drain(Duration::from_secs(5));
        self.ended().await;
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back for these bytes, until the server closes.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    /// A plain GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.say(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
    }
}

/// Everything until the server closes, at most 20 s.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset after an answer is an end like any other.
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server never closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One whole response with a `content-length`, the connection kept.
pub(crate) async fn response(stream: &mut TcpStream) -> String {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                panic!("closed after: {text}");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("no whole response")
}

/// Answers with the method, the path and the length of the body.
pub(crate) async fn echo(request: Request<Arriving>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match body.collect().await {
        Ok(body) => {
            let length = body.to_bytes().len();
            Response::new(Full::from(format!("{} {} {length}", head.method, head.uri.path())))
        }
        Err(error) => {
            let mut response = Response::new(Full::from(error.to_string()));
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            response
        }
    }
}
