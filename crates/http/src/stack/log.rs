//! One line per request, in the log and in the meters.

use std::sync::Arc;

use http::StatusCode;
use http_body::Body as _;
use tokio::time::Instant;

use burgeon_core::Error;

use super::Edge;
use super::meters::OfRoute;
use super::origin::Seen;
use crate::{Asked, Response, RouteInfo, Scheme};

/// A request that has come and has not been answered. Dropped without an end, its client has left.
pub(super) struct Line {
    edge: Edge,
    route: Option<usize>,
    asked: Asked,
    seen: Seen,
    began: Instant,
    rule: Option<&'static str>,
    ended: bool,
}

impl Line {
    pub(super) fn begin(
        edge: Edge,
        route: Option<&Arc<RouteInfo>>,
        asked: Asked,
        seen: Seen,
        began: Instant,
    ) -> Self {
        let route = route.map(|route| route.index);
        let line = Self { edge, route, asked, seen, began, rule: None, ended: false };
        line.meters().in_flight.add(1);
        line
    }

    /// Of a request that could not be read, by the rule that it broke.
    pub(super) fn refused_by(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.seen.scheme
    }

    /// The response for an error of this request.
    pub(super) fn refuse(&self, error: &Error) -> Response {
        self.edge.router().door().refuse(error, &self.asked)
    }

    pub(super) fn end(&mut self, response: &Response) {
        self.ended = true;
        let took = self.began.elapsed();
        self.meters().answered(response.status(), took);
        self.write(response.status(), response.body().size_hint().exact());
    }

    fn meters(&self) -> &OfRoute {
        self.edge.0.meters.of(self.route)
    }

    fn write(&self, status: StatusCode, bytes: Option<u64>) {
        // Nothing is formatted for a log that is off.
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return;
        }
        let routes = self.edge.router().routes();
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let what = match (self.ended, self.rule) {
            (false, _) => "client left",
            (true, None) => "request answered",
            (true, Some(_)) => "request refused unread",
        };
        tracing::info!(
            target: "access",
            method = self.asked.method().as_str(),
            // Without the query, where people put what must not stand in a log.
            path = self.asked.path(),
            route = self.route.and_then(|route| routes.get(route)).map(|route| &*route.path),
            status = status.as_u16(),
            micros,
            bytes,
            peer = self.seen.peer.map(|peer| tracing::field::display(peer.0.ip())),
            request_id = self.asked.request_id().map(tracing::field::display),
            rule = self.rule,
            "{what}",
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.meters().in_flight.add(-1);
        if !self.ended {
            self.meters().left();
            // nginx's number for a client that closed its request; there is no official one.
            self.write(StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), None);
        }
    }
}
