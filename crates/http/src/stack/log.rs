//! One line per request, in the log and in the meters.

use std::sync::Arc;

use http::{Method, StatusCode, Uri};
use http_body::Body as _;
use tokio::time::Instant;

use burgeon_meter::InFlight;

use super::meters::OfRoute;
use super::origin::Seen;
use crate::{Request, Response, RouteInfo};

/// A request that has come and has not been answered. Dropped without an end, its client has left.
pub(super) struct Line {
    meters: Arc<OfRoute>,
    began: Instant,
    // Only when somebody listens: nothing is formatted or kept for a log that is off.
    text: Option<Text>,
    ended: bool,
    _in_flight: InFlight,
}

struct Text {
    method: Method,
    uri: Uri,
    route: Option<Arc<RouteInfo>>,
    id: Arc<str>,
    seen: Seen,
}

impl Line {
    pub(super) fn begin(
        meters: Arc<OfRoute>,
        request: &Request,
        route: Option<&Arc<RouteInfo>>,
        id: &Arc<str>,
        seen: Seen,
        began: Instant,
    ) -> Self {
        let text = tracing::enabled!(target: "access", tracing::Level::INFO).then(|| Text {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: route.cloned(),
            id: id.clone(),
            seen,
        });
        let in_flight = meters.in_flight.enter();
        Self { meters, began, text, ended: false, _in_flight: in_flight }
    }

    pub(super) fn end(mut self, response: &Response) {
        self.ended = true;
        self.meters.answered(response.status(), self.began.elapsed());
        self.write(response.status(), response.body().size_hint().exact());
    }

    fn write(&self, status: StatusCode, bytes: Option<u64>) {
        let Some(text) = &self.text else { return };
        let micros = self.began.elapsed().as_micros() as u64;
        tracing::info!(
            target: "access",
            method = text.method.as_str(),
            // Without the query, where people put what must not stand in a log.
            path = text.uri.path(),
            route = text.route.as_ref().map(|route| &*route.path),
            status = status.as_u16(),
            micros,
            bytes,
            peer = text.seen.peer.map(|peer| tracing::field::display(peer.0.ip())),
            request_id = &*text.id,
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            self.meters.left();
            // nginx's number for a client that closed its request; there is no official one.
            self.write(StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), None);
        }
    }
}
