//! What a handler's arguments take from a request.
//!
//! [`Extract`] reads the head; [`ExtractBody`] may also consume the body, so it can only be the last argument.
//! Implement [`Extract`] for your own types: a signed-in customer, a language, a basket.
//!
//! ```
//! use burgeon_core::{Error, Result};
//! use burgeon_http::{Extract, Head};
//!
//! struct Language(String);
//!
//! impl<S: Sync> Extract<S> for Language {
//!     async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
//!         let wanted = head.header("accept-language").unwrap_or("en");
//!         Ok(Language(wanted.chars().take(2).collect()))
//!     }
//! }
//! ```

mod bytes;
mod ctx;
mod form;
mod head;
mod json;
mod params;
mod path;
mod query;
mod state;
mod valid;

use std::future::Future;

use burgeon_core::Result;

use crate::Body;
use crate::openapi::Operation;

pub use ctx::{Peer, Scheme};
pub use form::Form;
pub use head::Head;
pub(crate) use head::Known;
pub use json::Json;
pub(crate) use params::{Params, PathValues};
pub use path::Path;
pub use query::Query;
pub use state::{FromState, State};
pub use valid::{Checks, Input, Submitted, Valid};

pub(crate) use json::content_type_is;

/// Taken from a request's head.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler on routes with state `{S}`",
    label = "does not implement `Extract<{S}>`",
    note = "arguments: `Ctx`, `State<..>`, `Path<..>`, `Query<..>`, `Cookies`, `Session`, `Flash`, `Csrf`, `Peer`, `Method`, `Uri`, `HeaderMap`, `Option<..>` of one, or your own `impl Extract<S>`",
    note = "`Json`, `Form`, `Bytes` and `String` take the body and can only come last; an axum extractor is wrapped: `Axum<..>`"
)]
pub trait Extract<S>: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// What the client did wrong, in a sentence for people.
    fn extract(head: &mut Head, state: &S) -> impl Future<Output = Result<Self>> + Send;

    /// What it says about the operation in the API document. Default: nothing.
    fn describe(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

/// Taken from a request and its body. `M` is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the last argument of a handler on routes with state `{S}`",
    label = "implements neither `Extract<{S}>` nor `ExtractBody<{S}>`",
    note = "for the body: `Json<T>`, `Form<T>`, `Valid<Json<T>>`, `Valid<Form<T>>`, `Submitted<T>`, `Bytes`, `String`; the `T` must implement `serde::Deserialize` and `JsonSchema`",
    note = "for the head: `Ctx`, `State<..>`, `Path<..>`, `Query<..>`, `Session` and others; an axum extractor is wrapped: `Axum<..>`"
)]
pub trait ExtractBody<S, M = ViaBody>: Sized {
    /// Takes it.
    ///
    /// # Errors
    /// What the client did wrong, in a sentence for people.
    fn extract_body(head: &mut Head, body: Body, state: &S) -> impl Future<Output = Result<Self>> + Send;

    /// What it says about the operation in the API document. Default: nothing.
    fn describe_body(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

/// Marks a last argument that takes the body.
#[derive(Debug, Clone, Copy)]
pub enum ViaBody {}

/// Marks a last argument that reads only the head.
#[derive(Debug, Clone, Copy)]
pub enum ViaHead {}

impl<S: Sync, T: Extract<S>> ExtractBody<S, ViaHead> for T {
    async fn extract_body(head: &mut Head, _body: Body, state: &S) -> Result<Self> {
        T::extract(head, state).await
    }

    fn describe_body(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}
