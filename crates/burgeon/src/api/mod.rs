//! What one module may ask of another: a typed API that does not say where the module runs.
//!
//! [`#[burgeon::api]`](macro@crate::api) on a trait of async methods makes a handle of it. A module provides the handle,
//! others take it as an argument of their module function.
//!
//! What this is not: a service locator. A handle is passed in by type at start, once; a missing one is named there.
//!
//! # Invariants
//! - Arguments and results are serialisable, arguments own what they hold (`&str` and slices are copied where they
//!   must cross), and every method can fail: the caller is ready for the day the module moves to its own process.
//! - Forced through serialisation (as tests do), a call hands over exactly what a wire would carry: of the context the
//!   deadline, criticality, trace, caller and causal position; of an error its kind, sentence, fields and retry hint.
//!
//! ```
//! use burgeon::{Ctx, Result};
//!
//! #[burgeon::api]
//! pub trait Prices {
//!     /// The price of a product in pence.
//!     async fn price(&self, ctx: &Ctx, sku: &str) -> Result<i64>;
//! }
//!
//! struct Fixed;
//!
//! impl Prices for Fixed {
//!     async fn price(&self, _ctx: &Ctx, sku: &str) -> Result<i64> {
//!         Ok(sku.len() as i64 * 100)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! # tokio::runtime::Builder::new_current_thread().build().map_err(burgeon::Error::internal)?.block_on(async {
//! let prices = PricesApi::direct(Fixed);
//! assert_eq!(prices.price(&Ctx::background(), "tea").await?, 300);
//! # Ok(()) })
//! # }
//! ```
//!
//! A type that cannot be serialised is refused where it is written, even while the module runs in this process:
//!
//! ```compile_fail,E0277
//! # use burgeon::{Ctx, Result};
//! pub struct Opaque;
//!
//! #[burgeon::api]
//! pub trait Prices {
//!     async fn price(&self, ctx: &Ctx) -> Result<Opaque>;
//! }
//! ```

mod wire;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use burgeon_core::{Ctx, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A handle on a module's API, made by [`#[burgeon::api]`](macro@crate::api).
pub trait Api: Clone + Send + Sync + 'static {
    /// The name of the trait.
    const NAME: &'static str;

    /// A handle on the same module whose every call is serialised and back, as between processes.
    #[must_use]
    fn serialised(self) -> Self;
}

/// Where the calls of a handle go.
pub enum Route<T: ?Sized> {
    /// To the module, in this process.
    Direct(Arc<T>),
    /// To the module in this process, through JSON and back.
    Serialised(Arc<T>),
}

impl<T: ?Sized> Route<T> {
    /// The same module, through JSON.
    #[must_use]
    pub fn serialised(self) -> Self {
        match self {
            Route::Direct(module) | Route::Serialised(module) => Route::Serialised(module),
        }
    }
}

impl<T: ?Sized> Clone for Route<T> {
    fn clone(&self) -> Self {
        match self {
            Route::Direct(module) => Route::Direct(module.clone()),
            Route::Serialised(module) => Route::Serialised(module.clone()),
        }
    }
}

/// A call under way.
#[doc(hidden)]
pub type Called<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Hands context and arguments over, as a wire would.
#[doc(hidden)]
pub fn arrive<Owned: DeserializeOwned>(
    ctx: &Ctx,
    call: &str,
    arguments: &impl Serialize,
) -> Result<(Ctx, Owned)> {
    let sent = serde_json::to_vec(&wire::Context::of(ctx)).map_err(|why| lost(call, "its context", why))?;
    let context: wire::Context =
        serde_json::from_slice(&sent).map_err(|why| lost(call, "its context", why))?;
    let sent = serde_json::to_vec(arguments).map_err(|why| lost(call, "its arguments", why))?;
    let arguments = serde_json::from_slice(&sent).map_err(|why| lost(call, "its arguments", why))?;
    Ok((context.into_ctx(), arguments))
}

/// Hands the answer back, and with it what the call has seen.
#[doc(hidden)]
pub fn back<T>(ctx: &Ctx, there: &Ctx, call: &str, answer: Result<T>) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    ctx.advance(there.position());
    there.marks().iter().for_each(|mark| ctx.mark(mark));
    match answer {
        Ok(value) => {
            let sent = serde_json::to_vec(&value).map_err(|why| lost(call, "its result", why))?;
            serde_json::from_slice(&sent).map_err(|why| lost(call, "its result", why))
        }
        Err(error) => {
            let sent =
                serde_json::to_vec(&wire::Failure::of(&error)).map_err(|why| lost(call, "its error", why))?;
            let failure: wire::Failure =
                serde_json::from_slice(&sent).map_err(|why| lost(call, "its error", why))?;
            Err(failure.into_error())
        }
    }
}

fn lost(call: &str, what: &str, why: impl Display) -> Error {
    Error::internal(format!("{call}: {what} did not survive serialisation: {why}"))
}
