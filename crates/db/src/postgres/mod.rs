//! Postgres.
//!
//! What the rest of the crate calls, and nothing else (results are `Result<_, Fault>`; naming the statement in the
//! error, counting and timing happen outside):
//!
//! - `Config: Default + validate()`: this engine's section of the settings.
//! - `Pool::open(&crate::Config, &Tasks, &Meters).await`; `pool.health(&Ctx).await`; `pool.close().await`.
//! - `pool.query(&Ctx, &Text, &[Value], Class).await -> Vec<tokio_postgres::Row>`: one statement, committed by itself.
//!   The class is the handle's: `Read` may go to a replica, `Write` goes to the primary.
//! - `pool.execute(&Ctx, &Text, &[Value]).await -> u64`: rows touched.
//! - `pool.stream(&Ctx, Text, Vec<Value>, Deadline) -> impl Stream<Item = Result<tokio_postgres::Row, Fault>>`.
//! - `pool.begin(&Ctx, Deadline, Place, Class).await -> Session`: dropped without `commit` it rolls back, and its
//!   connection is not lent again before that is certain. `session.query`, `session.execute` as above without `Ctx`;
//!   `session.commit().await -> Position`.

use burgeon_core::{Ctx, Deadline, Position};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::stmt::{Class, Place, Text};
use crate::{Fault, Value};

/// Settings of the Postgres engine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

impl Config {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// There is none yet: a value of this type cannot exist.
pub(crate) enum Pool {}

/// There is none yet.
pub(crate) enum Session {}

impl Pool {
    pub(crate) async fn open(_: &crate::Config, _: &Tasks, _: &Meters) -> Result<Self, Fault> {
        Err(Fault::Unavailable { why: "this build speaks SQLite only".to_owned() })
    }

    pub(crate) async fn query(&self, _: &Ctx, _: &Text, _: &[Value], _: Class) -> Result<Vec<Row>, Fault> {
        match *self {}
    }

    pub(crate) async fn execute(&self, _: &Ctx, _: &Text, _: &[Value]) -> Result<u64, Fault> {
        match *self {}
    }

    pub(crate) fn stream(
        &self,
        _: &Ctx,
        _: Text,
        _: Vec<Value>,
        _: Deadline,
    ) -> impl Stream<Item = Result<Row, Fault>> + Send + 'static {
        stream::empty()
    }

    pub(crate) async fn begin(&self, _: &Ctx, _: Deadline, _: Place, _: Class) -> Result<Session, Fault> {
        match *self {}
    }

    pub(crate) async fn health(&self, _: &Ctx) -> Result<(), Fault> {
        match *self {}
    }

    pub(crate) async fn close(&self) {
        match *self {}
    }
}

impl Session {
    pub(crate) async fn query(&self, _: &Text, _: &[Value]) -> Result<Vec<Row>, Fault> {
        match *self {}
    }

    pub(crate) async fn execute(&self, _: &Text, _: &[Value]) -> Result<u64, Fault> {
        match *self {}
    }

    pub(crate) async fn commit(self) -> Result<Position, Fault> {
        match self {}
    }
}
