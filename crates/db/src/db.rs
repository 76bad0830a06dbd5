//! The database: one handle for both engines.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use burgeon_core::Kind;
use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;

use crate::meters::StatementMeters;
use crate::on::{Aim, Session};
use crate::sqlite::Sqlite;
use crate::stmt::{Class, Place};
use crate::tx::{self, Tx};
use crate::unwritten::Unwritten;
use crate::{Config, Engine, Fault, Read, Server, Write, clock, postgres};

/// How long a database that closes waits for what was noted and is not written yet.
const FLUSH: Duration = Duration::from_secs(5);

/// A database. Cloning shares it.
///
/// The shape of the call says where a statement may go: [`read`](Db::read) to any copy that is fresh enough,
/// [`write`](Db::write) and [`tx`](Db::tx) to the primary. SQL is never parsed for it.
#[derive(Clone)]
pub struct Db(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: EngineOf,
    pub(crate) config: Config,
    /// Owns what must outlive its caller: a commit under way.
    pub(crate) tasks: Tasks,
    pub(crate) meters: StatementMeters,
    pub(crate) unwritten: Unwritten,
}

/// The two engines, a closed set.
pub(crate) enum EngineOf {
    Sqlite(Box<Sqlite>),
    Postgres(postgres::Fleet),
}

impl Db {
    /// Opens the database: makes the SQLite file or connects to the server.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the configuration makes no sense, [`Kind::Internal`] when the file is no database or its
    /// directory is missing, [`Kind::Unavailable`] when the server cannot be reached.
    pub async fn open(config: &Config, tasks: &Tasks, meters: &Meters) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let engine = match config.engine().map_err(Error::invalid)? {
            Engine::Sqlite => {
                EngineOf::Sqlite(Box::new(Sqlite::open(config, meters).map_err(Fault::into_error)?))
            }
            Engine::Postgres => {
                let fleet = postgres::Fleet::open(config, tasks, meters).await;
                EngineOf::Postgres(fleet.map_err(Fault::into_error)?)
            }
        };
        let meters = StatementMeters::new(meters);
        let (config, tasks, unwritten) = (config.clone(), tasks.clone(), Unwritten::new());
        Ok(Self(Arc::new(Inner { engine, config, tasks, meters, unwritten })))
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match self.0.engine {
            EngineOf::Sqlite(_) => Engine::Sqlite,
            EngineOf::Postgres(_) => Engine::Postgres,
        }
    }

    /// For statements that change nothing, one at a time.
    ///
    /// With replicas they go to one that has replayed everything this `ctx` has written, and to the primary only if none
    /// has; [`Read::primary`] insists on the primary.
    pub fn read<'a>(&'a self, ctx: &'a Ctx) -> Read<'a> {
        Read { db: self, ctx, aim: Aim::Anywhere }
    }

    /// For a statement that is committed by itself: acknowledged means committed.
    ///
    /// On SQLite it shares its commit with whatever else is waiting.
    pub fn write<'a>(&'a self, ctx: &'a Ctx) -> Write<'a> {
        Write { db: self, ctx }
    }

    /// Runs `work` in a transaction: all of it happens, or nothing.
    ///
    /// `Ok` from `work` commits. An error, a panic, a dropped future and the deadline roll back. `work` runs once; to
    /// try again after a serialization failure write the loop with [`retry!`](crate::retry).
    ///
    /// A statement that fails spoils the transaction on both engines: what follows in it is refused, and it cannot be
    /// committed even if `work` swallows the error.
    ///
    /// Await nothing foreign in `work` (no HTTP call, no other database): it holds the writer, or a connection, for as
    /// long as it runs. It is bounded by the request's deadline and by `transaction_timeout`.
    ///
    /// ```no_run
    /// # use burgeon_core::{Ctx, Result};
    /// # use burgeon_db::{Db, sql};
    /// # async fn move_stock(db: &Db, ctx: &Ctx, from: i64, to: i64) -> Result<()> {
    /// db.tx(ctx, async |tx| {
    ///     sql!("take", "update stock set units = units - 1 where id = $1", from).execute(tx).await?;
    ///     sql!("give", "update stock set units = units + 1 where id = $1", to).execute(tx).await?;
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` returned; [`Fault::Overloaded`] or [`Fault::Busy`] when it could not begin in time;
    /// [`Fault::Timeout`] when it took too long; [`Fault::OutcomeUnknown`] when the commit was not answered.
    #[track_caller]
    pub fn tx<T, F>(&self, ctx: &Ctx, work: F) -> impl Future<Output = Result<T>>
    where
        F: AsyncFnOnce(&Tx) -> Result<T>,
    {
        tx::run(self, ctx, Class::Write, Location::caller().into(), work)
    }

    /// As [`tx`](Db::tx), under the place of whoever asked for it.
    pub(crate) fn tx_at<T, F>(&self, ctx: &Ctx, place: Place, work: F) -> impl Future<Output = Result<T>>
    where
        F: AsyncFnOnce(&Tx) -> Result<T>,
    {
        tx::run(self, ctx, Class::Write, place, work)
    }

    /// Runs `work` on one snapshot, in a transaction that cannot change anything. A replica may take it, as with
    /// [`read`](Db::read).
    ///
    /// # Errors
    /// As [`tx`](Db::tx).
    #[track_caller]
    pub fn tx_read_only<T, F>(&self, ctx: &Ctx, work: F) -> impl Future<Output = Result<T>>
    where
        F: AsyncFnOnce(&Tx) -> Result<T>,
    {
        tx::run(self, ctx, Class::Read, Location::caller().into(), work)
    }

    /// Which database cluster it is, where positions in its log mean something: on Postgres with replicas, or with
    /// `database.postgres.causal_position`. A position of another cluster says nothing here.
    pub fn cluster(&self) -> Option<u64> {
        match &self.0.engine {
            EngineOf::Sqlite(_) => None,
            EngineOf::Postgres(fleet) => fleet.cluster(),
        }
    }

    /// Somebody trustworthy has seen this position of this [`cluster`](Db::cluster): another node, a signed token. From
    /// then on nothing is written to a server of an earlier timeline.
    pub fn saw(&self, position: Position) {
        match &self.0.engine {
            EngineOf::Sqlite(_) => {}
            EngineOf::Postgres(fleet) => fleet.saw(position),
        }
    }

    /// The primary and its replicas as they were last seen, in the order of the configuration; none where there is
    /// only one server, or a file.
    pub fn servers(&self) -> Vec<Server> {
        match &self.0.engine {
            EngineOf::Sqlite(_) => Vec::new(),
            EngineOf::Postgres(fleet) => fleet.servers(),
        }
    }

    /// What is missing although the database serves: a replica that is away or lags, the primary while reads go on.
    ///
    /// # Errors
    /// A sentence for people, naming the servers.
    pub fn condition(&self) -> Result<(), String> {
        match &self.0.engine {
            EngineOf::Sqlite(_) => Ok(()),
            EngineOf::Postgres(fleet) => fleet.condition(),
        }
    }

    /// Whether the database answers; with replicas, whether it answers reads at least.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn health(&self, ctx: &Ctx) -> Result<()> {
        let healthy = match &self.0.engine {
            EngineOf::Sqlite(sqlite) => sqlite.health(ctx).await,
            EngineOf::Postgres(pool) => pool.health(ctx).await,
        };
        healthy.map_err(Fault::into_error)
    }

    /// Writes what [`Increments`](crate::Increments) have pending without waiting for their windows, for at most 5 s; what
    /// is added later is written at once. For whoever is about to stop the tasks that this database was opened with:
    /// from then on Postgres gives no more connections. [`close`](Db::close) does it too.
    pub async fn flush(&self) {
        let writing = self.0.unwritten.flush(FLUSH).await;
        if writing > 0 {
            tracing::warn!(writing, "additions were still to be written when the database was closed");
        }
    }

    /// Writes what is pending ([`flush`](Db::flush)), finishes what is queued, and closes. What comes later is refused.
    pub async fn close(&self) {
        self.flush().await;
        match &self.0.engine {
            EngineOf::Sqlite(_) => {
                let db = self.clone();
                let (done, closed) = tokio::sync::oneshot::channel();
                let close = move || {
                    if let EngineOf::Sqlite(sqlite) = &db.0.engine {
                        sqlite.close();
                    }
                    // The caller may have gone; the threads have ended all the same.
                    let _ = done.send(());
                };
                if let Err(error) = std::thread::Builder::new().name("sqlite-close".to_owned()).spawn(close) {
                    tracing::error!(%error, "no thread to close the database in; it closes with the process");
                    return;
                }
                if closed.await.is_err() {
                    tracing::error!("closing the database ended in a panic");
                }
            }
            EngineOf::Postgres(pool) => pool.close().await,
        }
    }

    /// A connection to the primary outside of every pool, for what takes long and must not stand in anybody's way.
    pub(crate) async fn direct(&self) -> Result<Box<postgres::Connection>, Fault> {
        match &self.0.engine {
            EngineOf::Postgres(fleet) => {
                let primary = fleet.primary_pool(&Ctx::background()).await?;
                let until = tokio::time::Instant::from_std(clock::now()) + primary.connect_timeout();
                primary.direct(until).await
            }
            EngineOf::Sqlite(_) => {
                Err(Fault::Unusable { why: "SQLite has no server to connect to".to_owned() })
            }
        }
    }

    pub(crate) async fn begin(
        &self,
        ctx: &Ctx,
        class: Class,
        place: Place,
        deadline: burgeon_core::Deadline,
    ) -> Result<Session, Fault> {
        if let Some(fault) = self.refuse_nested() {
            return Err(fault);
        }
        Ok(match &self.0.engine {
            EngineOf::Sqlite(sqlite) => Session::Sqlite(sqlite.begin(ctx, deadline, place, class).await?),
            // Boxed: beginning is large, and the future of the whole transaction would carry it to its end.
            EngineOf::Postgres(pool) => {
                Session::Postgres(Box::pin(pool.begin(ctx, deadline, place, class)).await?)
            }
        })
    }

    /// Inside a transaction's closure everything must go through its `tx`: a second one would wait for the first.
    pub(crate) fn refuse_nested(&self) -> Option<Fault> {
        let outer = tx::outer(self)?;
        Some(Fault::Nested { outer })
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("engine", &self.engine()).finish_non_exhaustive()
    }
}
