//! Typed values from the path.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Result};

use crate::extract::{Extract, Head};
use crate::openapi::Operation;
use crate::text;

/// The parts of the path that the route's pattern names: one value for one name, a tuple by position, a struct by name.
///
/// A value that does not parse is an address at which there is nothing, so the answer is 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<S: Sync, T: DeserializeOwned + JsonSchema> Extract<S> for Path<T> {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        text::from_path(head.path_values()).map(Path).map_err(|refused| {
            let what = format!("`{}` {}", refused.field, refused.message);
            match refused.is_ours {
                // A pattern that lacks a name the handler asks for is a defect, not the client's fault.
                true => Error::internal(format!("path of route `{}`: {what}", head.route().path)),
                false => Error::not_found("There is nothing at this address.").with_source(what),
            }
        })
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.path_parameters::<T>();
    }
}
