//! The words every part of Burgeon shares.
//!
//! What this is: [`Error`] and its [`Kind`], the request's context [`Ctx`] (deadline, criticality, trace, principal,
//! tenant, causal position and marks, cancellation), typed ids, and [`Money`].
//!
//! What it is not: it performs no I/O, reads no clock, knows no runtime, no SQL and no HTTP status. Whoever
//! needs "now" passes it in, so every part built on this crate can be tested without waiting.
//!
//! # Invariants
//! - A [`Ctx`] only ever gets stricter on its way down: a child's deadline is never later than its parent's.
//! - [`Error`]'s public sentence never contains its private source.
//! - [`Position`] and [`Marks`] only grow: joining two yields one that is at least both.

mod cancel;
mod criticality;
mod ctx;
mod deadline;
mod error;
mod id;
mod mark;
mod money;
mod position;
mod principal;
#[cfg(feature = "schemars")]
mod schema;
mod secret;
mod trace;
pub mod units;

pub use cancel::{Cancel, CancelGuard};
pub use criticality::Criticality;
pub use ctx::Ctx;
pub use deadline::Deadline;
pub use error::{Error, Field, Kind, OrNotFound, Result};
pub use mark::{Mark, Marks, ParseMarksError};
pub use money::{Money, ParseMoneyError};
pub use position::{ParsePositionError, Position};
pub use principal::{Principal, Tenant};
pub use secret::Secret;
pub use trace::{ParseTraceError, SpanId, Trace, TraceId};

#[doc(hidden)]
pub mod private {
    pub use {serde, uuid};
}
