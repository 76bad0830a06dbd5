//! Leases: one node at a time, and a term that fences what it writes.
//!
//! ```text
//!            acquire (nobody's, or expired)           not renewed in time, or taken by another
//!   follower ─────────────────────────────▶ leader ───────────────────────────────────────────▶ follower
//!                    term + 1                 │ ▲
//!                                             └─┘ renew, at a third of its life
//! ```
//!
//! What this is: a row per lease in the application's database, granted on the database's clock. What it is not: a lock
//! on the world outside. A node that is paused wakes up and still believes that it leads, until it looks. So a lease
//! alone protects nothing: what its holder writes, it writes in a transaction that it [fences](Lease::fence).
//!
//! # Invariants
//! - Terms of a name only grow; each acquisition gets its own. A row is never deleted.
//! - A fenced transaction commits only if its lease was held, in its term, and nobody else gets the lease before that
//!   commit: on Postgres the fence holds a shared lock on the row, which the next holder must wait for; on SQLite there
//!   is one writer.
//! - A node's own clock only ever makes it stop early: it counts its time from before it asked.
//!
//! # When it breaks
//! A holder that dies is followed after at most the lease's life. A holder that hangs inside a fenced transaction holds
//! its successor up until the server ends that transaction (`idle_in_transaction_session_timeout`). Without the
//! database nobody leads, and nothing can be written either.

mod lead;

use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error, Kind, Result};
use burgeon_db::{Db, Tx, sql};
use tokio::time::Instant;

use crate::NodeId;

pub use lead::{Leader, Leading};

/// The leases of one node. Cloning shares them.
#[derive(Clone)]
pub struct Leases {
    db: Db,
    node: NodeId,
}

/// A lease, held at least until its time is up on this node's monotonic clock.
#[derive(Debug)]
pub struct Lease {
    node: NodeId,
    name: &'static str,
    term: i64,
    life: Duration,
    until: Instant,
}

impl Leases {
    /// The shortest life of a lease.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// The leases of `node`, kept in `db`. The [migrations](crate::migrations) must have run.
    pub fn new(db: Db, node: NodeId) -> Self {
        Self { db, node }
    }

    /// Takes the lease, if it is nobody's or has expired; once, without waiting for it.
    ///
    /// `life` is how long it lasts unless it is renewed, and so how long nobody leads after its holder has died. Below
    /// [`SHORTEST`](Self::SHORTEST) it is that.
    ///
    /// # Errors
    /// Whatever befell the database. If its answer was lost, the lease may be taken; it expires.
    pub async fn acquire(&self, ctx: &Ctx, name: &'static str, life: Duration) -> Result<Option<Lease>> {
        let life = life.max(Self::SHORTEST);
        let asked = Instant::now();
        let term: Option<i64> = sql!(
            "acquire_lease",
            sqlite: "insert into burgeon_lease (name, holder, term, expires)
                     values ($1, $2, 1, cast(unixepoch('subsec') * 1000000 as integer) + $3)
                     on conflict (name) do update
                     set holder = excluded.holder, term = burgeon_lease.term + 1, expires = excluded.expires
                     where burgeon_lease.expires <= cast(unixepoch('subsec') * 1000000 as integer)
                     returning term",
            postgres: "insert into burgeon_lease (name, holder, term, expires)
                       values ($1, $2, 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint + $3)
                       on conflict (name) do update
                       set holder = excluded.holder, term = burgeon_lease.term + 1,
                           expires = (extract(epoch from clock_timestamp()) * 1000000)::bigint + $3
                       where burgeon_lease.expires <= (extract(epoch from clock_timestamp()) * 1000000)::bigint
                       returning term",
            name,
            self.node.to_string(),
            micros(life)
        )
        .optional(&self.db.write(ctx))
        .await?;
        Ok(term.map(|term| Lease { node: self.node, name, term, life, until: asked + life }))
    }

    /// Makes the lease last its whole life from now.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it has expired or is another's: it is lost for good. Otherwise whatever befell the
    /// database: it may still be held.
    pub async fn renew(&self, ctx: &Ctx, lease: &mut Lease) -> Result<()> {
        let asked = Instant::now();
        let renewed = sql!(
            "renew_lease",
            sqlite: "update burgeon_lease set expires = cast(unixepoch('subsec') * 1000000 as integer) + $4
                     where name = $1 and holder = $2 and term = $3
                       and expires > cast(unixepoch('subsec') * 1000000 as integer)",
            postgres: "update burgeon_lease set expires = (extract(epoch from clock_timestamp()) * 1000000)::bigint + $4
                       where name = $1 and holder = $2 and term = $3
                         and expires > (extract(epoch from clock_timestamp()) * 1000000)::bigint",
            lease.name,
            self.node.to_string(),
            lease.term,
            micros(lease.life)
        )
        .execute(&self.db.write(ctx))
        .await?;
        if renewed == 0 {
            return Err(lease.lost());
        }
        lease.until = asked + lease.life;
        Ok(())
    }

    /// Gives the lease back, so that the next holder need not wait for its end.
    ///
    /// # Errors
    /// Whatever befell the database; then it expires by itself.
    pub async fn release(&self, ctx: &Ctx, lease: Lease) -> Result<()> {
        sql!(
            "release_lease",
            "update burgeon_lease set expires = 0 where name = $1 and holder = $2 and term = $3",
            lease.name,
            self.node.to_string(),
            lease.term
        )
        .execute(&self.db.write(ctx))
        .await
        .map(drop)
    }
}

impl Lease {
    /// What is leased.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The how-manieth time it was taken, by anybody.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// Whether its time is not up yet on this node's clock. Good for not starting in vain; what is written must be
    /// [fenced](Self::fence).
    pub fn is_running(&self) -> bool {
        Instant::now() < self.until
    }

    /// Until when it lasts unless it is renewed.
    pub fn deadline(&self) -> Deadline {
        Deadline::at(self.until.into_std())
    }

    /// Ties the transaction to the lease: it fails here unless the lease is held in this term, and until the transaction
    /// has ended nobody else gets it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the lease is lost; the transaction must not go on.
    pub async fn fence(&self, tx: &Tx) -> Result<()> {
        fence(tx, self.name, self.node, self.term).await
    }

    fn lost(&self) -> Error {
        lost(self.name, self.term)
    }
}

async fn fence(tx: &Tx, name: &'static str, node: NodeId, term: i64) -> Result<()> {
    let held: Option<i64> = sql!(
        "fence_lease",
        // Changes nothing; the writer is this transaction's alone.
        sqlite: "update burgeon_lease set term = term where name = $1 and holder = $2 and term = $3
                 and expires > cast(unixepoch('subsec') * 1000000 as integer)
                 returning term",
        postgres: "select term from burgeon_lease where name = $1 and holder = $2 and term = $3
                   and expires > (extract(epoch from clock_timestamp()) * 1000000)::bigint
                   for share",
        name,
        node.to_string(),
        term
    )
    .optional(tx)
    .await?;
    held.map(drop).ok_or_else(|| lost(name, term))
}

fn lost(name: &str, term: i64) -> Error {
    Error::new(Kind::Conflict, format!("the lease `{name}` is not held in term {term} any more"))
}

fn micros(life: Duration) -> i64 {
    i64::try_from(life.as_micros()).unwrap_or(i64::MAX / 4)
}
