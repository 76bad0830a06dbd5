//! A transaction, and what is tied to its end.
//!
//! ```text
//!   begin ── work ── before_commit hooks ── COMMIT ── after_commit work, signals
//!              │            │                 │
//!              └── error, panic, dropped, deadline: ROLLBACK; nothing after it runs
//! ```
//!
//! # Invariants
//! - What was given to [`after_commit`](Tx::after_commit) and [`signal`](Tx::signal) runs if and only if the commit is
//!   durable. Its failure cannot undo the commit: it is logged, and the others run.
//! - A transaction in which a statement failed is never committed, on either engine.
//! - Nothing a transaction's task does or fails to do keeps it open past its deadline.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use futures_util::future::join_all;
use tokio::time::timeout_at;

use crate::on::Session;
use crate::stmt::{Class, Place, Text};
use crate::{Db, Fault, clock};

/// How long work after the commit may take: it stands between the commit and the caller's answer.
const AFTER_COMMIT: Duration = Duration::from_secs(5);

/// A boxed future, for hooks.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type Before = Box<dyn for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<()>> + Send>;

/// An open transaction. Statements run on it as they run on `db.read` and `db.write`.
pub struct Tx {
    db: Db,
    ctx: Ctx,
    place: Place,
    session: Session,
    // Not a tokio mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failed: Option<String>,
    before: Vec<Before>,
    after: Vec<After>,
}

struct After {
    what: Cow<'static, str>,
    signal: bool,
    work: BoxFuture<'static, Result<()>>,
}

tokio::task_local! {
    /// The transaction this task is in, so that a second one is refused instead of waiting for the first.
    static INSIDE: (usize, Place);
}

/// Where the transaction was begun in which the current task already is.
pub(crate) fn outer(db: &Db) -> Option<Place> {
    INSIDE.try_with(|(id, place)| (*id == identity(db)).then_some(*place)).ok().flatten()
}

fn identity(db: &Db) -> usize {
    std::sync::Arc::as_ptr(&db.0).addr()
}

/// The whole life of a transaction.
pub(crate) async fn run<T, F>(db: &Db, ctx: &Ctx, class: Class, place: Place, work: F) -> Result<T>
where
    F: AsyncFnOnce(&Tx) -> Result<T>,
{
    let started = clock::now();
    let deadline = clock::deadline(ctx, db.0.config.transaction_timeout);
    let late = || {
        let after = clock::now().saturating_duration_since(started);
        Fault::Timeout { whose: "the transaction".to_owned(), after }.at("transaction", place)
    };
    let session =
        db.begin(ctx, class, place, deadline).await.map_err(|fault| fault.at("transaction", place))?;
    let tx = Tx { db: db.clone(), ctx: ctx.clone(), place, session, state: Mutex::default() };

    // An error, a panic or a dropped future drops `tx`, and that rolls back.
    let inside = INSIDE.scope((identity(db), place), async {
        let value = work(&tx).await?;
        tx.run_before().await?;
        Ok::<T, Error>(value)
    });
    let value = timeout_at(deadline.instant().into(), inside).await.map_err(|_| late())??;
    tx.commit().await.map_err(|fault| fault.at("transaction", place))?;
    Ok(value)
}

impl Tx {
    /// The database it is on.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The request it belongs to.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Runs `hook` in the transaction when its work is done, before it commits. An error rolls back.
    ///
    /// For what must see the end of the work: an outbox that numbers its events, a total that is checked. Hooks run in
    /// the order they were added; one may add more.
    pub fn before_commit(
        &self,
        hook: impl for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<()>> + Send + 'static,
    ) {
        self.state().before.push(Box::new(hook));
    }

    /// Runs `work` after the commit, before the transaction's caller has its answer; at most 5 s.
    ///
    /// What is given here begins in the order in which it was given, each piece as far as its first wait, and goes on side by side: a
    /// thousand that wait for one answer wait once.
    ///
    /// It cannot undo the commit: a failure is logged under the name `what`, and the caller still gets its `Ok`. It is
    /// lost if the process dies in between, so what must happen belongs into a job or an event of the transaction.
    pub fn after_commit(
        &self,
        what: impl Into<Cow<'static, str>>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.state().after.push(After { what: what.into(), signal: false, work: Box::pin(work) });
    }

    /// As [`after_commit`](Self::after_commit), once per `key`: waking the queue a hundred times is waking it once.
    pub fn signal(
        &self,
        key: impl Into<Cow<'static, str>>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let key = key.into();
        let mut state = self.state();
        if !state.after.iter().any(|after| after.signal && after.what == key) {
            state.after.push(After { what: key, signal: true, work: Box::pin(work) });
        }
    }

    /// The session, unless a statement has already failed in it.
    pub(crate) fn session(&self) -> Result<&Session, Fault> {
        match &self.state().failed {
            None => Ok(&self.session),
            Some(why) => Err(Fault::TransactionOver { why: why.clone() }),
        }
    }

    /// Notes that a statement failed. The first failure is the one that is told.
    pub(crate) fn fail(&self, text: &Text, fault: &Fault) {
        // These two are about the rows that were found; the engine itself is content.
        if matches!(fault, Fault::NoRow | Fault::ManyRows) {
            return;
        }
        let mut state = self.state();
        if state.failed.is_none() {
            state.failed = Some(format!("`{}` ({}) failed in it: {fault}", text.name(), text.place()));
        }
    }

    async fn run_before(&self) -> Result<()> {
        loop {
            let hooks = std::mem::take(&mut self.state().before);
            if hooks.is_empty() {
                return Ok(());
            }
            for hook in hooks {
                hook(self).await?;
            }
        }
    }

    async fn commit(self) -> Result<(), Fault> {
        let Tx { db, ctx, place, session, state } = self;
        let State { failed, after, .. } = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = failed {
            return Err(Fault::TransactionOver { why });
        }
        if after.is_empty() {
            ctx.advance(session.commit().await?);
            return Ok(());
        }
        // A task of its own: a caller that leaves between the commit and what follows must not cut them apart.
        let end = async move {
            ctx.advance(session.commit().await?);
            join_all(after.into_iter().map(|work| work.run(place))).await;
            Ok(())
        };
        match db.0.tasks.spawn("commit", end).await {
            Ok(result) => result,
            Err(error) => {
                Err(Fault::OutcomeUnknown { why: format!("the commit was cut off: {}", error.detail()) })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl After {
    /// The commit stands whatever happens here, so a failure has nobody to go to but the log.
    async fn run(self, place: Place) {
        let After { what, work, .. } = self;
        match timeout_at((clock::now() + AFTER_COMMIT).into(), work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%what, at = %place, error = %error.detail(), "work after a commit failed");
            }
            Err(_) => {
                tracing::warn!(%what, at = %place, "work after a commit was ended after {AFTER_COMMIT:?}");
            }
        }
    }
}
