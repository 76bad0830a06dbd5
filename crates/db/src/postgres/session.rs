//! A transaction on a connection of its own.
//!
//! # Invariants
//! - Dropped without [`commit`](Session::commit), at any moment, it is rolled back; its connection is not lent again
//!   before that is certain.
//! - `commit` never turns into a silent rollback: Postgres answers COMMIT in a failed transaction with ROLLBACK and no
//!   error, so a session in which a statement failed, or was dropped unanswered, is not trusted but asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burgeon_core::{Deadline, Position};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{Error, Row, RowStream};

use super::bind::{self, Bound};
use super::config::millis;
use super::connection::Answer;
use super::exclusive::{Lease, State};
use super::fault::{self, Failure};
use super::fleet::{Busy, Place, Term};
use super::{Bounded, Pool, within};
use crate::stmt::{Class, Text};
use crate::{Engine, Fault, Type, Value, clock};

/// How long the answer to a COMMIT is awaited at least, once it has been sent: the sooner one leaves, the less one
/// knows.
const COMMIT_LIMIT: Duration = Duration::from_secs(1);

/// An open transaction.
pub(crate) struct Session {
    lease: Lease,
    until: Instant,
    statement_timeout: Duration,
    causal: bool,
    /// As whose primary it was begun, where there are several servers.
    term: Option<Term>,
    /// What is given back when it ends: its place among the replica's, or the primary's, readers.
    _held: Option<(Busy, Option<Place>)>,
    /// A statement failed on the server, or nobody knows whether it did.
    doubtful: AtomicBool,
}

impl Session {
    pub(super) async fn begin(
        mut lease: Lease,
        pool: &Pool,
        deadline: Deadline,
        class: Class,
    ) -> Result<Self, Failure> {
        let until = Instant::from_std(deadline.instant());
        let remaining = until.saturating_duration_since(Instant::now());
        let late = || {
            Failure::Answered(Fault::Timeout {
                whose: "beginning a transaction".to_owned(),
                after: remaining,
            })
        };
        if remaining.is_zero() {
            return Err(late());
        }
        // One round trip for both; what the server is told ends a statement also where we have gone.
        let begin = format!(
            "begin{}; set local statement_timeout = {}",
            if class == Class::Read { " isolation level repeatable read read only" } else { "" },
            millis(remaining),
        );
        lease.mark(State::InTransaction);
        match timeout_at(until, lease.connection().client().batch_execute(&begin)).await {
            Ok(begun) => begun.map_err(fault::failure)?,
            Err(_) => return Err(late()),
        }
        Ok(Self {
            lease,
            until,
            statement_timeout: pool.statement_timeout,
            causal: pool.causal && class == Class::Write,
            term: None,
            _held: None,
            doubtful: AtomicBool::new(false),
        })
    }

    /// It may only be committed while its server is still the primary.
    pub(super) fn for_term(mut self, term: Term) -> Self {
        self.term = Some(term);
        self
    }

    /// It only reads, and holds these until it ends.
    pub(super) fn holding(mut self, busy: Busy, place: Option<Place>) -> Self {
        self._held = Some((busy, place));
        self
    }

    /// One statement; its rows.
    pub(crate) async fn query(&self, text: &Text, params: &[Value]) -> Result<Vec<Row>, Fault> {
        self.run(text, params).await.map(|answer| answer.rows)
    }

    /// One statement; how many rows it touched.
    pub(crate) async fn execute(&self, text: &Text, params: &[Value]) -> Result<u64, Fault> {
        self.run(text, params).await.map(|answer| answer.touched)
    }

    async fn run(&self, text: &Text, params: &[Value]) -> Result<Answer, Fault> {
        let started = clock::now();
        let until = self.until.min(Instant::now() + self.statement_timeout);
        self.lease.runs(text.name());
        let connection = self.lease.connection();
        // Stands until the server has answered well: also when this future is dropped in between.
        let doubt = Doubt::enter(&self.doubtful);
        let work = async {
            let prepared = match connection.prepared(text) {
                Some(prepared) => prepared,
                None => connection.prepare(text, params).await?,
            };
            connection.run(text, &prepared, params).await
        };
        // Whatever its class: without a COMMIT nothing can have been done.
        match within(&self.lease, until, Class::Read, work).await {
            Bounded::Answered(Ok(answer)) => {
                doubt.dispel();
                Ok(answer)
            }
            Bounded::Answered(Err(error)) => Err(self.fault(error, text, started)),
            Bounded::Late | Bounded::Unknown => Err(super::timed_out(text, started)),
        }
    }

    /// Copies rows into a table, in the order of its columns; `chunk` yields the next values, none at the end.
    pub(crate) async fn copy(
        &self,
        text: &Text,
        types: &[Type],
        mut chunk: impl FnMut() -> Vec<Value>,
    ) -> Result<u64, Fault> {
        let started = clock::now();
        self.lease.runs(text.name());
        let doubt = Doubt::enter(&self.doubtful);
        let client = self.lease.connection().client();
        let work = async {
            let sink = client.copy_in::<_, Bytes>(text.sql(Engine::Postgres)).await?;
            let types: Vec<_> = types.iter().map(|of| bind::native(*of).0).collect();
            let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
            loop {
                let values = chunk();
                if values.is_empty() {
                    return writer.finish().await;
                }
                for row in values.chunks(types.len()) {
                    writer.as_mut().write_raw(row.iter().map(Bound)).await?;
                }
            }
        };
        // Dropped in the middle, the copy is broken off, and with it the transaction.
        match within(&self.lease, self.until, Class::Read, work).await {
            Bounded::Answered(Ok(rows)) => {
                doubt.dispel();
                Ok(rows)
            }
            Bounded::Answered(Err(error)) => Err(self.fault(error, text, started)),
            Bounded::Late | Bounded::Unknown => Err(super::timed_out(text, started)),
        }
    }

    fn fault(&self, error: Error, text: &Text, started: std::time::Instant) -> Fault {
        if self.lease.connection().learn(text, &error) {
            // A migration came between; the transaction is lost, and another try will do.
            return Fault::SerializationFailure;
        }
        fault::timed(fault::failure(error).into_fault(Class::Read), text, started)
    }

    /// Starts a statement and answers its rows as they come. The transaction ends with them.
    pub(super) async fn stream(
        mut self,
        text: Text,
        params: Vec<Value>,
    ) -> Result<impl Stream<Item = Result<Row, Fault>> + Send + 'static, Fault> {
        let started = clock::now();
        self.lease.runs(text.name());
        let mut tries = 3;
        let rows = loop {
            let connection = self.lease.connection();
            let starting = async {
                let prepared = match connection.prepared(&text) {
                    Some(prepared) => prepared,
                    None => connection.prepare(&text, &params).await?,
                };
                connection.start(&text, &prepared, &params).await
            };
            match within(&self.lease, self.until, Class::Read, starting).await {
                Bounded::Answered(Ok(rows)) => break rows,
                Bounded::Answered(Err(error))
                    if tries > 0 && self.lease.connection().learn(&text, &error) =>
                {
                    tries -= 1;
                    self.restart().await?;
                }
                Bounded::Answered(Err(error)) => {
                    return Err(fault::timed(fault::failure(error).into_fault(Class::Read), &text, started));
                }
                Bounded::Late | Bounded::Unknown => return Err(super::timed_out(&text, started)),
            }
        };
        let flow = Flow { rows: Box::pin(rows), session: self, text, started };
        Ok(stream::unfold(Some(flow), |flow| async move {
            let mut flow = flow?;
            match timeout_at(flow.session.until, flow.rows.try_next()).await {
                Ok(Ok(Some(row))) => Some((Ok(row), Some(flow))),
                Ok(Ok(None)) => {
                    // Nothing was changed, so nothing is lost if this fails; the connection is then cleaned.
                    flow.session.end().await;
                    None
                }
                Ok(Err(error)) => {
                    let fault = fault::failure(error).into_fault(Class::Read);
                    Some((Err(fault::timed(fault, &flow.text, flow.started)), None))
                }
                Err(_) => Some((Err(super::timed_out(&flow.text, flow.started)), None)),
            }
        }))
    }

    /// A fresh transaction instead of one that failed before it did anything.
    async fn restart(&mut self) -> Result<(), Fault> {
        let remaining = self.until.saturating_duration_since(Instant::now());
        let begin = format!("rollback; begin read only; set local statement_timeout = {}", millis(remaining));
        let begun = self.lease.connection().client().batch_execute(&begin);
        match timeout_at(self.until, begun).await {
            Ok(begun) => begun.map_err(|error| fault::failure(error).into_fault(Class::Read)),
            Err(_) => Err(Fault::Timeout { whose: "beginning a transaction".to_owned(), after: remaining }),
        }
    }

    async fn end(mut self) {
        let rolled_back = self.lease.connection().client().batch_execute("rollback");
        if matches!(timeout_at(self.until, rolled_back).await, Ok(Ok(()))) {
            self.lease.mark(State::Clean);
        }
    }

    /// Commits, and answers where the log then stood, if that is asked for.
    pub(crate) async fn commit(mut self) -> Result<Position, Fault> {
        let Some(term) = self.term.take() else { return self.commit_now().await };
        term.lasts()?;
        let committed = self.commit_now().await;
        term.ended(&committed);
        committed
    }

    async fn commit_now(mut self) -> Result<Position, Fault> {
        let now = Instant::now();
        if self.until <= now {
            return Err(Fault::Timeout { whose: "the transaction".to_owned(), after: Duration::ZERO });
        }
        if self.doubtful.load(Ordering::Acquire) {
            self.ask().await?;
        }
        let until = self.until.max(now + COMMIT_LIMIT);
        let connection = self.lease.connection();
        let committing = async {
            if self.causal {
                let commit = connection.client().batch_execute("commit");
                let (done, position) = futures_util::future::join(commit, connection.position()).await;
                done.map(|()| position)
            } else {
                connection.client().batch_execute("commit").await.map(|()| Position::START)
            }
        };
        let unknown = |why| Err(Fault::OutcomeUnknown { why });
        match timeout_at(until, committing).await {
            Ok(Ok(position)) => {
                self.lease.mark(State::Clean);
                Ok(position)
            }
            Ok(Err(error)) if fault::is_cancelled(&error) => {
                Err(Fault::Timeout { whose: "the commit".to_owned(), after: now.elapsed() })
            }
            // A deferred constraint, a serialization failure: the server has rolled back.
            Ok(Err(error)) => match fault::failure(error) {
                Failure::Answered(fault) => Err(fault),
                Failure::Lost(why) => unknown(format!("the commit was sent, and then {why}")),
            },
            Err(_) => unknown("the commit was sent and not answered".to_owned()),
        }
    }

    /// Whether the transaction still stands.
    async fn ask(&self) -> Result<(), Fault> {
        let asked = self.lease.connection().client().batch_execute("select 1");
        match timeout_at(self.until, asked).await {
            Ok(asked) => asked.map_err(|error| fault::failure(error).into_fault(Class::Read)),
            Err(_) => Err(Fault::Timeout { whose: "the transaction".to_owned(), after: Duration::ZERO }),
        }
    }
}

/// A result being read.
struct Flow {
    rows: std::pin::Pin<Box<RowStream>>,
    session: Session,
    text: Text,
    started: std::time::Instant,
}

/// Stands from before a statement is sent until it has been answered well.
struct Doubt<'a>(&'a AtomicBool, bool);

impl<'a> Doubt<'a> {
    fn enter(doubtful: &'a AtomicBool) -> Self {
        Self(doubtful, true)
    }

    fn dispel(mut self) {
        self.1 = false;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.store(true, Ordering::Release);
        }
    }
}
