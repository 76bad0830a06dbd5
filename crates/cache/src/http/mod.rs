//! A cache of HTTP responses, as a tower layer.
//!
//! What this is: a shared cache by RFC 9111 in front of handlers of the same application, over the cache's own store: its
//! flights are the collapsing of requests, its tags the surrogate keys, and its invalidations purge. What it is not: a
//! proxy; it knows no other origin, and keeps no parts of responses (ranges go to the handler).
//!
//! The walk through it is `docs/http-cache.md`.
//!
//! # Invariants
//! - Nothing is kept that its response does not allow in so many words. What sets a cookie, is `private`, or answers a request
//!   with cookies or credentials without saying `public`, is for the one who asked alone, also when others wait for it.
//! - A purge that has returned is seen by every request that begins after it, and by no load that began before it.
//! - Whatever is too large, too slow or endless streams through.
//!
//! # When it breaks
//! A handler that fails, panics or hangs: what is stale, where the response allows it; else its failure, one for all who
//! waited; else 504. The wall clock counts only where a response bears a `Date` or `Expires` of its own.

mod body;
mod conditional;
mod config;
mod directives;
mod fetch;
mod freshness;
mod keep_for;
mod kept;
mod key;
mod layer;
mod meters;
mod responses;
mod status;
mod storing;
mod structured;
mod tags;
mod visit;
mod wall;

pub use body::{Body, BoxError};
pub use config::Config;
pub use keep_for::KeepFor;
pub use kept::Entry;
pub use layer::{Answers, Asks, Cached, ResponseLayer};
pub use responses::Responses;
pub use tags::{CACHE_TAG, SURROGATE_KEY};
pub use wall::Wall;
