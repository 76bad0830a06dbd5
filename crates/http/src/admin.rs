//! What administrators ask a running process: meters, the log's level, and why it is not ready.
//!
//! These routes belong on a listener of their own that only administrators reach: they name hosts, and change what is
//! logged. They ask nobody who they are.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use burgeon_core::{Error, Result};
use burgeon_runtime::Health;
use burgeon_telemetry::{LogLevel, prometheus};

use crate::extract::State;
use crate::health::probes_with_reasons;
use crate::problem::status_error;
use crate::route::{RouteList, Routes, get, put};

#[derive(Clone)]
struct Admin {
    level: LogLevel,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// `GET /metrics` (Prometheus), `GET` and `PUT /log` (the level, as plain text: `info,burgeon_db=debug`), and the probes
/// with reasons. `metrics` makes the text, usually `telemetry.metrics(&meters)`.
pub fn admin(
    health: &Health,
    level: &LogLevel,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> RouteList {
    let state = Admin { level: level.clone(), metrics: Arc::new(metrics) };
    Routes::new(state)
        .routes([
            get("/metrics", scrape).hidden(),
            get("/log", read_level).hidden(),
            put("/log", set_level).hidden(),
        ])
        .merge(probes_with_reasons(health))
        .into()
}

async fn scrape(State(admin): State<Admin>) -> (HeaderMap, Bytes) {
    let content_type = HeaderValue::from_static(prometheus::CONTENT_TYPE);
    (HeaderMap::from_iter([(CONTENT_TYPE, content_type)]), (admin.metrics)().into())
}

async fn read_level(State(admin): State<Admin>) -> Result<String> {
    admin.level.get().ok_or_else(|| Error::conflict("The log of this process belongs to somebody else."))
}

async fn set_level(State(admin): State<Admin>, wanted: Bytes) -> Result<String> {
    let wanted = std::str::from_utf8(&wanted)
        .map_err(|_| status_error(StatusCode::BAD_REQUEST, "Send the level as text, such as `debug`."))?;
    admin.level.set(wanted.trim())?;
    read_level(State(admin)).await
}
