//! What crosses between processes with a call: version 1.
//!
//! Durations cross, never instants: clocks of two machines do not agree.

use std::borrow::Cow;
use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Deadline, Error, Field, Kind, Marks, Principal, Tenant};
use serde::{Deserialize, Serialize};

/// Of a [`Ctx`], what the other side needs. Cancellation crosses as the end of the connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Context {
    /// What is left of the deadline, in microseconds.
    remaining: Option<u64>,
    criticality: Criticality,
    trace: Option<String>,
    principal: Option<String>,
    tenant: Option<String>,
    position: String,
    /// Added after the first nodes were running: theirs come without.
    #[serde(default)]
    marks: String,
}

/// Of an [`Error`], what another process may know. The private source stays where it is, in that process's log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: String,
    public: String,
    fields: Vec<Field>,
    /// In microseconds.
    retry_after: Option<u64>,
}

impl Context {
    pub(super) fn of(ctx: &Ctx) -> Self {
        Self {
            remaining: ctx.deadline().map(|deadline| micros(deadline.remaining(now()))),
            criticality: ctx.criticality(),
            trace: ctx.trace().map(|trace| trace.to_string()),
            principal: ctx.principal().map(|principal| principal.as_str().to_owned()),
            tenant: ctx.tenant().map(|tenant| tenant.as_str().to_owned()),
            position: ctx.position().to_string(),
            marks: ctx.marks().to_string(),
        }
    }

    pub(super) fn into_ctx(self) -> Ctx {
        let mut ctx = Ctx::background().with_criticality(self.criticality);
        if let Some(remaining) = self.remaining {
            ctx = ctx.with_deadline(Deadline::after(now(), Duration::from_micros(remaining)));
        }
        if let Some(trace) = self.trace.and_then(|trace| trace.parse().ok()) {
            ctx = ctx.with_trace(trace);
        }
        if let Some(principal) = self.principal {
            ctx = ctx.with_principal(Principal::new(principal));
        }
        if let Some(tenant) = self.tenant {
            ctx = ctx.with_tenant(Tenant::new(tenant));
        }
        if let Ok(position) = self.position.parse() {
            ctx.advance(position);
        }
        let marks: Marks = self.marks.parse().unwrap_or_default();
        marks.iter().for_each(|mark| ctx.mark(mark));
        ctx
    }
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            kind: error.kind().name().to_owned(),
            public: error.public().to_owned(),
            fields: error.fields().to_vec(),
            retry_after: error.retry_after().map(micros),
        }
    }

    pub(super) fn into_error(self) -> Error {
        // A kind that this version does not know is a defect to it, whatever it was to the other.
        let kind = Kind::from_name(&self.kind).unwrap_or(Kind::Internal);
        let mut error = match (kind, self.fields.is_empty()) {
            (Kind::Invalid, false) => Error::invalid_fields(self.fields),
            _ => Error::new(kind, Cow::Owned(self.public)),
        };
        if let Some(after) = self.retry_after {
            error = error.with_retry_after(Duration::from_micros(after));
        }
        error
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
