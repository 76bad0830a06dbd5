//! Typed values from the query.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Result};

use crate::extract::{Extract, Head};
use crate::openapi::Operation;
use crate::text;

/// The query as a struct. A name given several times is a list; an empty value of an `Option` is `None`.
///
/// Values that do not parse are refused together, each with its field (422).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned + JsonSchema> Extract<S> for Query<T> {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        let pairs = text::pairs(head.uri().query().unwrap_or_default().as_bytes())?;
        text::from_pairs(&pairs).map(Query).map_err(Error::invalid_fields)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.query_parameters::<T>();
    }
}
