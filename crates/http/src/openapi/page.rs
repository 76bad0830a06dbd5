//! Where the document is read: `/openapi.json` by programs, `/docs` by people.
//!
//! The page is made once, at start, from the document alone. It needs no script, no font and no other host.

mod html;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;

use burgeon_core::Result;

use crate::extract::State;
use crate::route::{RouteList, Routes, get};
use crate::{Body, Reply as _, Response};

/// The document and its page, made once.
#[derive(Clone)]
struct Served {
    json: Bytes,
    page: Bytes,
}

/// `/openapi.json` and `/docs` for this document. They are not part of it.
pub(crate) fn routes(document: &Value) -> RouteList {
    let served = Served { json: document.to_string().into(), page: html::render(document).into() };
    Routes::new(served)
        .routes([
            get("/openapi.json", json).name("openapi").hidden(),
            get("/docs", docs).name("docs").hidden(),
        ])
        .into()
}

async fn json(State(served): State<Served>) -> Result<Response> {
    send("application/json", served.json)
}

async fn docs(State(served): State<Served>) -> Result<Response> {
    send("text/html; charset=utf-8", served.page)
}

fn send(content_type: &'static str, content: Bytes) -> Result<Response> {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from(content)).reply()
}
