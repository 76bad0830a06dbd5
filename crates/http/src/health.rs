//! What probes ask: `/livez`, `/readyz`, `/startupz`.
//!
//! Each answers 200 or 503 with JSON. The public ones name the part that is not ready; why it is not may name hosts, so
//! only the administrator's listener tells.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use burgeon_core::Result;
use burgeon_runtime::{Health, Report};

use crate::Response;
use crate::extract::State;
use crate::reply::with_type;
use crate::route::{RouteList, Routes, get};

/// What is told.
#[derive(Clone)]
struct Probes {
    health: Health,
    reasons: bool,
}

/// The probes for everyone: which part is not ready.
pub fn probes(health: &Health) -> RouteList {
    routes(Probes { health: health.clone(), reasons: false })
}

/// The probes for administrators: which part is not ready, and why.
pub fn probes_with_reasons(health: &Health) -> RouteList {
    routes(Probes { health: health.clone(), reasons: true })
}

fn routes(probes: Probes) -> RouteList {
    // A node that is asked whether it lives must not be too busy to say so.
    let list = [
        get("/livez", livez).hidden().critical(),
        get("/readyz", readyz).hidden().critical(),
        get("/startupz", startupz).hidden().critical(),
    ];
    Routes::new(probes).routes(list).into()
}

async fn livez(State(probes): State<Probes>) -> Result<Response> {
    let report = probes.health.report().await;
    answer(report.live, &probes, report)
}

async fn readyz(State(probes): State<Probes>) -> Result<Response> {
    let report = probes.health.report().await;
    answer(report.ready, &probes, report)
}

async fn startupz(State(probes): State<Probes>) -> Result<Response> {
    let report = probes.health.report().await;
    answer(report.started, &probes, report)
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    #[serde(flatten)]
    report: Report,
}

fn answer(ok: bool, probes: &Probes, mut report: Report) -> Result<Response> {
    if !probes.reasons {
        report.parts.iter_mut().for_each(|part| part.reason = None);
    }
    let json = serde_json::to_vec(&Answer { ok, report }).map_err(burgeon_core::Error::internal)?;
    let mut response = with_type(const { HeaderValue::from_static("application/json") }, json);
    *response.status_mut() = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
