//! What is logged of a failure, and what is not.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::{Error, Result};
use burgeon_http::{Body, Door, Edge, Mounts, RequestId, Routes, get};
use burgeon_meter::Meters;
use burgeon_telemetry::{Config, Format, Sink, dispatch};
use tower::ServiceExt as _;
use tracing::instrument::WithSubscriber as _;

use crate::client::Client;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn broken() -> Result<()> {
    Err(Error::internal(std::io::Error::other("password=hunter2")))
}

async fn missing() -> Result<()> {
    Err(Error::not_found("Not here."))
}

#[tokio::test]
async fn the_access_log_says_what_happened_in_fields_of_their_own() {
    let lines = Lines::default();
    let sink = Sink::to(lines.clone()).unwrap();
    let config = Config { format: Format::Json, ..Config::default() };
    let (dispatch, _level) = dispatch(&config, &sink).unwrap();
    let router = Mounts::new().mount("/", Routes::new(()).routes([get("/missing", missing)]));
    let edge =
        Edge::new(&burgeon_http::Config::default(), router.router(Door::new()).unwrap(), &Meters::new());
    let request = http::Request::get("/missing?secret=1").header("host", "shop").body(Body::empty()).unwrap();
    let answer = edge.unwrap().oneshot(request).with_subscriber(dispatch).await.unwrap();

    sink.flush(Duration::from_secs(5)).unwrap();
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let access = log.lines().find(|line| line.contains("\"access\"")).unwrap_or_else(|| panic!("{log}"));
    let access: serde_json::Value = serde_json::from_str(access).unwrap();
    assert_eq!(access["message"], "request answered", "{log}");
    assert!(!log.contains("secret"), "{log}");
    let text = access.to_string();
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    for field in [r#""method":"GET""#, r#""path":"/missing""#, r#""status":404"#, id] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[tokio::test]
async fn a_defect_is_logged_once_with_the_requests_id_and_a_clients_mistake_is_not() {
    let lines = Lines::default();
    let sink = Sink::to(lines.clone()).unwrap();
    let config = Config { format: Format::Json, ..Config::default() };
    let (dispatch, _level) = dispatch(&config, &sink).unwrap();
    let list = [get("/broken", broken), get("/missing", missing)];
    let router = Mounts::new().mount("/", Routes::new(()).routes(list)).router(Door::new()).unwrap();
    let mut client = Client::new(&router);

    async {
        client.get("/missing").await;
        let mut request = http::Request::builder().uri("/broken").body(Body::empty()).unwrap();
        request.extensions_mut().insert(RequestId::from("r-17"));
        let answer = client.send(request).await;
        assert_eq!(answer.json()["instance"], "r-17");
        assert!(!answer.text().contains("hunter2"));
    }
    .with_subscriber(dispatch)
    .await;

    sink.flush(Duration::from_secs(5)).unwrap();
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let about: Vec<_> = log.lines().filter(|line| line.contains("request failed")).collect();
    assert_eq!(about.len(), 1, "{log}");
    assert!(
        about[0].contains("hunter2") && about[0].contains("r-17") && about[0].contains("/broken"),
        "{log}"
    );
    assert!(!log.contains("/missing"), "{log}");
}
