//! One connection: the client, the task that drives it, and what it has prepared.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Position;
use burgeon_meter::{Gauge, InFlight};
use burgeon_resilience::random::between;
use burgeon_runtime::Task;
use futures_util::TryStreamExt;
use futures_util::future::{join, join4};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type as PgType;
use tokio_postgres::{Client, Error, Row, RowStream, SimpleQueryMessage, Statement};

use super::bind::{self, Bound};
use super::connect::Connector;
use super::fault;
use super::outage::random;
use super::socket::{Peer, Socket};
use super::spelling::Spelling;
use super::statements::Statements;
use crate::stmt::Text;
use crate::{Engine, Value};

/// How long a cancel request may take to reach the server.
const CANCEL_LIMIT: Duration = Duration::from_millis(500);

/// An open connection. Dropping it lets what is in flight end, and then says goodbye; [`Connection::abandon`] does not.
pub(crate) struct Connection {
    client: Client,
    driver: Task<()>,
    peer: Peer,
    certified_name: String,
    memory: Memory,
    /// One prepares at a time where many share the connection, so that they do not all prepare the same.
    turn: Semaphore,
    opened: Instant,
    rested: Instant,
    /// 0.8 to 1.
    share_of_life: f64,
    _open: InFlight,
}

/// What a connection may keep between two statements.
pub(super) enum Memory {
    // Not tokio mutexes: nothing awaits under them.
    /// Prepared statements.
    Named(Mutex<Statements<Statement>>),
    /// Nothing: a transaction pooler is in between. How each statement is spelt is remembered on this side, by all
    /// connections together.
    Unnamed(Arc<Mutex<Statements<Spelling>>>),
}

/// A statement that can be run.
pub(super) enum Prepared {
    Named(Statement),
    Unnamed(Spelling),
}

/// What a statement answered.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How many rows it touched.
    pub(super) touched: u64,
}

impl Connection {
    pub(super) fn new(
        client: Client,
        driver: Task<()>,
        peer: Peer,
        certified_name: String,
        memory: Memory,
        open: &Gauge,
    ) -> Self {
        let now = Instant::now();
        let share_of_life = between(random(), 0.8, 1.0);
        Self {
            client,
            driver,
            peer,
            certified_name,
            memory,
            turn: Semaphore::new(1),
            opened: now,
            rested: now,
            share_of_life,
            _open: open.enter(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed() && !self.driver.is_finished()
    }

    /// Whether it has lived for its share of the longest life: jittered, so that those opened together do not end
    /// together.
    pub(super) fn is_old(&self, lifetime: Duration) -> bool {
        self.opened.elapsed() > lifetime.mul_f64(self.share_of_life)
    }

    /// For how long nobody has used it.
    pub(super) fn idle(&self) -> Duration {
        self.rested.elapsed()
    }

    pub(super) fn rest(&mut self) {
        self.rested = Instant::now();
    }

    /// The statement, if it can be run as it is.
    pub(super) fn prepared(&self, text: &Text) -> Option<Prepared> {
        match &self.memory {
            Memory::Named(statements) => lock(statements).get(text).map(Prepared::Named),
            Memory::Unnamed(spellings) => {
                Some(Prepared::Unnamed(lock(spellings).get(text).unwrap_or(Spelling::Typed)))
            }
        }
    }

    /// Prepares the statement. Where the server cannot tell a parameter's type, or could only guess, it is told.
    pub(super) async fn prepare(&self, text: &Text, params: &[Value]) -> Result<Prepared, Error> {
        let Memory::Named(statements) = &self.memory else { return Ok(Prepared::Unnamed(Spelling::Typed)) };
        let sql = text.sql(Engine::Postgres);
        let statement = match self.client.prepare(sql).await {
            Err(error) if fault::is_untyped(&error) => self.prepare_hinted(sql, params).await?,
            prepared => prepared?,
        };
        let statement = self.without_guesses(sql, params, statement).await?;
        lock(statements).insert(text, statement.clone());
        Ok(Prepared::Named(statement))
    }

    /// As [`prepare`](Self::prepare), on a connection that others use at the same time.
    pub(super) async fn prepare_in_turn(&self, text: &Text, params: &[Value]) -> Result<Prepared, Error> {
        // Never closed, so the turn always comes.
        let _turn = self.turn.acquire().await;
        match self.prepared(text) {
            Some(prepared) => Ok(prepared),
            None => self.prepare(text, params).await,
        }
    }

    /// Whether the statement may be understood if it is tried again, now that something was learnt from this error: it
    /// was forgotten by the server, has other columns since a migration, or is to be spelt otherwise. What could not be
    /// understood was not run.
    pub(super) fn learn(&self, text: &Text, error: &Error) -> bool {
        match &self.memory {
            Memory::Named(statements) if fault::is_stale(error) => {
                lock(statements).remove(text);
                true
            }
            Memory::Unnamed(spellings) if fault::is_misspelt(error) => {
                let mut spellings = lock(spellings);
                let next = spellings.get(text).unwrap_or(Spelling::Typed).next();
                match next {
                    Some(next) => spellings.insert(text, next),
                    None => spellings.remove(text),
                }
                next.is_some()
            }
            _ => false,
        }
    }

    /// Tells the types of all but texts, which may be meant for an enum; and of these too if that is not enough.
    async fn prepare_hinted(&self, sql: &str, params: &[Value]) -> Result<Statement, Error> {
        let hints = |texts: bool| -> Vec<_> {
            let hint = |value| match bind::hint(value) {
                PgType::TEXT if !texts => PgType::UNKNOWN,
                hint => hint,
            };
            params.iter().map(hint).collect()
        };
        match self.client.prepare_typed(sql, &hints(false)).await {
            Err(error) if fault::is_untyped(&error) => self.client.prepare_typed(sql, &hints(true)).await,
            prepared => prepared,
        }
    }

    async fn without_guesses(
        &self,
        sql: &str,
        params: &[Value],
        statement: Statement,
    ) -> Result<Statement, Error> {
        let mut guessed = false;
        let types = params.iter().zip(statement.params()).map(|(value, inferred)| {
            let was_guessed = bind::was_guessed(value, inferred);
            guessed |= was_guessed;
            if was_guessed { bind::hint(value) } else { inferred.clone() }
        });
        let types: Vec<_> = types.collect();
        if !guessed {
            return Ok(statement);
        }
        // Text it may be after all, as in `name = $1`: then the first reading stands, and the value is refused by name.
        match self.client.prepare_typed(sql, &types).await {
            Err(error) if error.as_db_error().is_some() => Ok(statement),
            typed => typed,
        }
    }

    /// Where the write-ahead log ends now, behind all that was sent before. [`Position::START`] if the server will not
    /// say: then no later read insists on anything, which is what it did without asking.
    pub(super) async fn position(&self) -> Position {
        const WHERE: &str =
            "select pg_current_wal_insert_lsn(), substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";
        let Ok(answer) = self.client.simple_query(WHERE).await else { return Position::START };
        let told = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let timeline = u32::from_str_radix(row.get(1)?, 16).ok()?;
                format!("{timeline}:{}", row.get(0)?).parse().ok()
            }
            _ => None,
        });
        told.unwrap_or(Position::START)
    }

    /// Whether this standby has replayed the log up to there. A server that is no standby answers no: what it has
    /// written since its promotion is on another timeline, and whether that counts is for the router to say.
    pub(super) async fn has_replayed(&self, position: Position) -> Result<bool, Error> {
        let (high, low) = (position.lsn >> 32, position.lsn & 0xffff_ffff);
        let asked = format!(
            "select pg_is_in_recovery() and coalesce(pg_last_wal_replay_lsn() >= '{high:X}/{low:X}', false)"
        );
        let answer = self.client.simple_query(&asked).await?;
        Ok(answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
            _ => false,
        }))
    }

    /// Runs a prepared statement: its rows, and how many it touched.
    pub(super) async fn run(
        &self,
        text: &Text,
        prepared: &Prepared,
        params: &[Value],
    ) -> Result<Answer, Error> {
        let mut stream = pin!(self.start(text, prepared, params).await?);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await? {
            rows.push(row);
        }
        Ok(Answer { rows, touched: stream.rows_affected().unwrap_or(0) })
    }

    /// Runs a statement, if this standby has come as far; `None` if it has not, and then whatever it answered is not
    /// looked at. Sent in this order: what is replayed when the first is answered, the second sees.
    pub(super) async fn run_if_replayed(
        &self,
        text: &Text,
        params: &[Value],
        position: Position,
    ) -> Result<Option<Answer>, Error> {
        let prepared = match self.prepared(text) {
            Some(prepared) => prepared,
            None => self.prepare_in_turn(text, params).await?,
        };
        let replayed = self.has_replayed(position);
        let run = self.run(text, &prepared, params);
        let (replayed, answer) = if self.keeps_sessions() {
            join(replayed, run).await
        } else {
            // One transaction, so that a pooler hands both to one server; each sees what is committed when it begins.
            let begin = self.client.batch_execute("begin isolation level read committed read only");
            let end = self.client.batch_execute("rollback");
            let (begun, replayed, answer, _) = join4(begin, replayed, run, end).await;
            begun?;
            (replayed, answer)
        };
        if replayed? { answer.map(Some) } else { Ok(None) }
    }

    /// Starts a prepared statement, to read its rows one by one.
    pub(super) async fn start(
        &self,
        text: &Text,
        prepared: &Prepared,
        params: &[Value],
    ) -> Result<RowStream, Error> {
        match prepared {
            Prepared::Named(statement) => self.client.query_raw(statement, params.iter().map(Bound)).await,
            Prepared::Unnamed(spelling) => {
                let typed = params.iter().map(|value| (Bound(value), spelling.of(value)));
                self.client.query_typed_raw(text.sql(Engine::Postgres), typed).await
            }
        }
    }

    /// Asks the server to end what runs on this connection. True when the request is known to have been heard: after
    /// one more round trip it cannot hit a later statement any more.
    ///
    /// The server raises the signal before it closes the connection that asked for it, and a signal that finds the
    /// backend waiting for a command is ignored there; so the end of the stream, and then an answer, mean that it is
    /// spent.
    ///
    /// Never through a transaction pooler, whose server connection may be somebody else's by the time it is heard.
    pub(super) async fn cancel(&self, connector: &Connector) -> bool {
        if !self.keeps_sessions() {
            return false;
        }
        let asking = async {
            let mut socket = Socket::connect(&self.peer).await.ok()?;
            let handshake = connector.handshake(self.certified_name.clone());
            self.client.cancel_token().cancel_query_raw(&mut socket, handshake).await.ok()?;
            let mut rest = [0; 64];
            while socket.read(&mut rest).await.ok()? > 0 {}
            Some(())
        };
        timeout(CANCEL_LIMIT, asking).await.ok().flatten().is_some()
    }

    /// Whether a session lasts as long as this connection.
    pub(super) fn keeps_sessions(&self) -> bool {
        matches!(self.memory, Memory::Named(_))
    }

    /// Whether the server answers, behind all that is in flight.
    pub(super) async fn answers(&self) -> bool {
        self.client.check_connection().await.is_ok()
    }

    /// Closes at once, whatever is in flight.
    pub(super) fn abandon(&self) {
        self.driver.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
