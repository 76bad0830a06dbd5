//! Results that are read while they are being read.

use std::pin::Pin;

use burgeon_core::Result;
use futures_util::{Stream, StreamExt};

use crate::db::EngineOf;
use crate::stmt::Text;
use crate::{Fault, Read, Row, Value, clock, rows};

pub(crate) fn stream<T: Row>(
    on: &Read<'_>,
    text: Text,
    params: Vec<Value>,
) -> impl Stream<Item = Result<T>> + Send + Unpin + 'static {
    let faults: Pin<Box<dyn Stream<Item = Result<T, Fault>> + Send>> = match &on.db.0.engine {
        EngineOf::Sqlite(sqlite) => Box::pin(sqlite.stream(on.ctx, text.clone(), params)),
        EngineOf::Postgres(fleet) => {
            let deadline = clock::deadline(on.ctx, on.db.0.config.stream_timeout);
            let raw = fleet.stream(on.ctx, text.clone(), params, deadline, on.aim.class());
            Box::pin(raw.map(|row| row.and_then(|row| rows::one(&row))))
        }
    };
    faults.map(move |row| row.map_err(|fault| fault.of_statement(&text)))
}
