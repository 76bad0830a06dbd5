//! Where the document is served.

use std::sync::Arc;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use burgeon_core::Result;

use crate::extract::State;
use crate::route::{RouteList, Routes, get};
use crate::{Body, Reply as _, Response};

/// `/openapi.json` and `/docs` for this document.
pub fn routes(document: &Value) -> RouteList {
    let json = document.to_string();
    Routes::new(Arc::<str>::from(json)).routes([get("/openapi.json", serve).hidden()]).into()
}

async fn serve(State(json): State<Arc<str>>) -> Result<Response> {
    let json_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json_type)], Body::from(json.to_string())).reply()
}
