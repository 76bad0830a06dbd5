//! A statement with its parameters, ready to run.

use std::marker::PhantomData;
use std::sync::Arc;

use burgeon_core::Result;
use futures_util::Stream;

use crate::on::On;
use crate::stmt::{Dynamic, Text};
use crate::{Fault, Read, Row, Stmt, Value};

/// The query changes nothing: it runs on `db.read`, `db.write` and in a transaction.
#[derive(Debug, Clone, Copy)]
pub enum Reads {}

/// The query changes something: it runs on `db.write` and in a transaction, and does not compile on `db.read`.
#[derive(Debug, Clone, Copy)]
pub enum Writes {}

/// A statement with its parameters. Made by [`sql!`](crate::sql); runs when one of its methods is awaited.
///
/// `on` is `&db.read(&ctx)`, `&db.write(&ctx)`, or the `tx` of [`Db::tx`](crate::Db::tx).
#[derive(Debug, Clone)]
#[must_use = "a query does nothing until one, optional, all, execute or stream is awaited"]
pub struct Query<K> {
    pub(crate) text: Text,
    pub(crate) params: Vec<Value>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Query<K> {
    /// What [`sql!`](crate::sql) expands to.
    #[doc(hidden)]
    pub fn new(stmt: &'static Stmt, params: Vec<Value>) -> Self {
        Self { text: Text::Static(stmt), params, kind: PhantomData }
    }

    /// A query whose text was made at run time.
    pub(crate) fn dynamic(dynamic: Arc<Dynamic>, params: Vec<Value>) -> Self {
        Self { text: Text::Dynamic(dynamic), params, kind: PhantomData }
    }

    /// The one row there is.
    ///
    /// # Errors
    /// [`Fault::NoRow`] when there is none, [`Fault::ManyRows`] when there are several, and whatever befell the
    /// statement.
    pub async fn one<T: Row>(self, on: &impl On<K>) -> Result<T> {
        let text = self.text.clone();
        match self.optional(on).await? {
            Some(row) => Ok(row),
            None => Err(Fault::NoRow.of_statement(&text)),
        }
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// [`Fault::ManyRows`] when there are several, and whatever befell the statement.
    pub async fn optional<T: Row>(self, on: &impl On<K>) -> Result<Option<T>> {
        on.target().optional(self.text, self.params).await
    }

    /// Every row, in the statement's order. For results without a known limit see [`stream`](Query::stream).
    ///
    /// # Errors
    /// Whatever befell the statement.
    pub async fn all<T: Row>(self, on: &impl On<K>) -> Result<Vec<T>> {
        on.target().all(self.text, self.params).await
    }
}

impl Query<Writes> {
    /// Runs it for its effect and answers how many rows it touched.
    ///
    /// # Errors
    /// Whatever befell the statement.
    pub async fn execute(self, on: &impl On<Writes>) -> Result<u64> {
        on.target().execute(self.text, self.params).await
    }
}

impl Query<Reads> {
    /// Every row, while later ones are still being read: for results that do not fit into memory.
    ///
    /// Not in a transaction: a half-read result would hold it open for as long as its reader likes. Ends with an error
    /// after `stream_timeout` or at the request's deadline. Dropping the stream ends the statement.
    pub fn stream<T: Row>(self, on: &Read<'_>) -> impl Stream<Item = Result<T>> + Send + Unpin + 'static {
        crate::stream::stream(on, self.text, self.params)
    }
}
