//! What is counted of every request, with one set of handles per route, made at start.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

use crate::{RouteInfo, Router};

/// The handles of every route, and of requests that match none.
#[derive(Debug)]
pub(super) struct PerRoute {
    routes: Vec<OfRoute>,
    none: OfRoute,
}

/// The handles of one route.
#[derive(Debug)]
pub(super) struct OfRoute {
    pub(super) in_flight: Gauge,
    took: Histogram,
    // By hundreds of the status, from 1xx; the last counts clients that left before there was one.
    answered: [Counter; 6],
}

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "left"];

impl PerRoute {
    pub(super) fn new(router: &Router, meters: &Meters) -> Self {
        let of = |info: &Arc<RouteInfo>| OfRoute::new(meters, &info.path, info.method.as_str());
        Self {
            routes: router.routes().iter().map(of).collect(),
            // Never the path or the method as they were sent: those would be labels from outside.
            none: OfRoute::new(meters, "none", "any"),
        }
    }

    /// The same meters through cells of its own, for one core.
    pub(super) fn part(&self) -> Self {
        Self { routes: self.routes.iter().map(OfRoute::part).collect(), none: self.none.part() }
    }

    /// Of the route with this index.
    pub(super) fn of(&self, route: Option<usize>) -> &OfRoute {
        route.and_then(|route| self.routes.get(route)).unwrap_or(&self.none)
    }
}

impl OfRoute {
    fn new(meters: &Meters, route: &str, method: &str) -> Self {
        let of = [("route", route), ("method", method)];
        let answered = CLASSES.map(|class| {
            let labels = [("route", route), ("method", method), ("status", class)];
            meters.counter("http_requests_total", "Requests answered, by class of status.", &labels)
        });
        Self {
            in_flight: meters.gauge("http_requests_in_flight", "Requests whose response has not begun.", &of),
            took: meters.histogram("http_request_seconds", "From a request's head to its response's.", &of),
            answered,
        }
    }

    fn part(&self) -> Self {
        Self {
            in_flight: self.in_flight.part(),
            took: self.took.part(),
            answered: self.answered.each_ref().map(Counter::part),
        }
    }

    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        self.answered[usize::from(status.as_u16() / 100).clamp(1, 5) - 1].increment();
        self.took.record(took);
    }

    pub(super) fn left(&self) {
        self.answered[5].increment();
    }
}
