//! One connection: the client, the task that drives it, and what it has prepared.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Position;
use burgeon_meter::{Gauge, InFlight};
use burgeon_runtime::Task;
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type as PgType;
use tokio_postgres::{Client, Error, Row, RowStream, SimpleQueryMessage, Statement};

use super::bind::{self, Bound};
use super::connect::Connector;
use super::fault;
use super::outage::random;
use super::socket::{Peer, Socket};
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
    // Not a tokio mutex: nothing awaits under it.
    statements: Mutex<Statements>,
    opened: Instant,
    rested: Instant,
    share_of_life: f64,
    _open: InFlight,
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
        statements: usize,
        open: &Gauge,
    ) -> Self {
        let statements = Mutex::new(Statements::new(statements));
        let now = Instant::now();
        let share_of_life = 0.8 + 0.2 * random();
        Self {
            client,
            driver,
            peer,
            certified_name,
            statements,
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

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// How much of the longest life it gets, 0.8 to 1.
    pub(super) fn share_of_life(&self) -> f64 {
        self.share_of_life
    }

    /// For how long nobody has used it.
    pub(super) fn idle(&self) -> Duration {
        self.rested.elapsed()
    }

    pub(super) fn rest(&mut self) {
        self.rested = Instant::now();
    }

    /// The statement, if it is prepared already.
    pub(super) fn prepared(&self, text: &Text) -> Option<Statement> {
        self.statements().get(text)
    }

    /// Prepares the statement. Where the server cannot tell a parameter's type, or could only guess, it is told.
    pub(super) async fn prepare(&self, text: &Text, params: &[Value]) -> Result<Statement, Error> {
        let sql = text.sql(Engine::Postgres);
        let statement = match self.client.prepare(sql).await {
            Err(error) if fault::is_untyped(&error) => self.prepare_hinted(sql, params).await?,
            prepared => prepared?,
        };
        let statement = self.without_guesses(sql, params, statement).await?;
        self.statements().insert(text, statement.clone());
        Ok(statement)
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

    pub(super) fn forget(&self, text: &Text) {
        self.statements().remove(text);
    }

    /// Runs a prepared statement: its rows, and how many it touched.
    pub(super) async fn run(&self, statement: &Statement, params: &[Value]) -> Result<Answer, Error> {
        let mut stream = pin!(self.start(statement, params).await?);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await? {
            rows.push(row);
        }
        Ok(Answer { rows, touched: stream.rows_affected().unwrap_or(0) })
    }

    /// Starts a prepared statement, to read its rows one by one.
    pub(super) async fn start(&self, statement: &Statement, params: &[Value]) -> Result<RowStream, Error> {
        self.client.query_raw(statement, params.iter().map(Bound)).await
    }

    /// Asks the server to end what runs on this connection. True when the request is known to have been heard: after
    /// one more round trip it cannot hit a later statement any more.
    ///
    /// The server raises the signal before it closes the connection that asked for it, and a signal that finds the
    /// backend waiting for a command is ignored there; so the end of the stream, and then an answer, mean that it is
    /// spent.
    pub(super) async fn cancel(&self, connector: &Connector) -> bool {
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

    /// Whether the server answers, behind all that is in flight.
    pub(super) async fn answers(&self) -> bool {
        self.client.check_connection().await.is_ok()
    }

    /// Closes at once, whatever is in flight.
    pub(super) fn abandon(&self) {
        self.driver.abort();
    }

    fn statements(&self) -> MutexGuard<'_, Statements> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
