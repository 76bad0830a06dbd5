//! Members: which nodes live, what they are, and which have gone.
//!
//! What this is: a row per node in the application's database, touched every two seconds, on the database's clock. What
//! it is not: a failure detector to decide by. A node that is not seen may still run; who must not act beside it uses a
//! [lease](crate::lease).
//!
//! ```text
//!   awaiting ── join ──▶ a row, touched every 2 s ── tasks stop ──▶ the row is gone
//!       └─ stand_alone ─▶ no row: the only member, where there can be but one
//! ```
//!
//! # Invariants
//! - A node whose row was not touched for ten seconds is gone for all, at the same time on the database's clock.
//! - A node that leaves takes its row with it. Rows of those that could not are removed a minute after.
//!
//! # When it breaks
//! Without the database the last known members stand, and [`Members::age`] says how old that is.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error, Result};
use burgeon_db::{Db, Row, sql};
use burgeon_meter::{Gauge, Meters};
use burgeon_runtime::{Restart, Tasks};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{Bus, NodeId};

/// How often a node touches its row. Five misses are a death.
const BEAT: Duration = Duration::from_secs(2);
/// Without a touch for this long a node is gone.
const GONE: Duration = Duration::from_secs(10);
/// How long a row outlives its node.
const KEPT: Duration = Duration::from_secs(70);
/// How long one turn may take.
const TURN: Duration = Duration::from_secs(5);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct About {
    /// For people: the host, the pod. Need not be unique.
    pub name: String,
    /// Of the application.
    pub version: String,
    /// What it does: `web`, `worker`, `scheduler`.
    pub roles: Vec<String>,
    /// Where other nodes reach it; empty when they do not.
    pub address: String,
    /// What carries its bus and how often it beats, as [`Link::fingerprint`](crate::bus::Link::fingerprint) says it; empty
    /// when it has none. Two nodes hear each other only if it is the same.
    pub bus: String,
    /// Where it counts shared limits, as [`limits::Place::name`](crate::limits::Place::name) says it; empty when it counts none.
    /// Two nodes count together only if it is the same.
    pub limits: String,
}

/// A node that lives, as far as the database knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub node: NodeId,
    /// What it says of itself.
    pub about: About,
    /// For how long it has been a member.
    pub since: Duration,
}

/// The members of the cluster. Cloning shares them.
#[derive(Clone)]
pub struct Members(Arc<Inner>);

struct Inner {
    node: NodeId,
    /// Set once, by whoever joins.
    place: OnceLock<Place>,
    // Not a tokio mutex: nothing awaits under it.
    seen: Mutex<Instant>,
    told: watch::Sender<Vec<Member>>,
    alive: Gauge,
}

/// Where a node is a member.
struct Place {
    db: Db,
    about: About,
    bus: Option<Bus>,
}

#[derive(Row)]
struct MemberRow {
    node: String,
    name: String,
    version: String,
    roles: String,
    address: String,
    bus: String,
    limits: String,
    since: i64,
}

impl Members {
    /// The members as `node` sees them before it has [joined](Self::join): nobody. Handed out at start, when there are no
    /// tables yet.
    pub fn awaiting(node: NodeId, meters: &Meters) -> Self {
        let alive = meters.gauge("cluster_members", "Nodes that live, as far as the database knows.", &[]);
        let (told, _) = watch::channel(Vec::new());
        Self(Arc::new(Inner { node, place: OnceLock::new(), seen: Mutex::new(Instant::now()), told, alive }))
    }

    /// Joins, and stays until `tasks` stop. With a bus, nodes that are gone are forgotten there. The
    /// [migrations](crate::migrations) must have run.
    ///
    /// # Errors
    /// Whatever befell the database; [`Kind::Internal`](burgeon_core::Kind::Internal) when it has joined before.
    pub async fn join(&self, db: &Db, about: About, bus: Option<Bus>, tasks: &Tasks) -> Result<()> {
        if self.0.place.set(Place { db: db.clone(), about, bus }).is_err() {
            return Err(Error::internal("this node is a member already"));
        }
        self.turn().await?;
        let (own, stopping) = (self.clone(), tasks.stopping());
        drop(tasks.supervise("cluster.members", Restart::default(), move || {
            let (members, stopping) = (own.clone(), stopping.clone());
            async move {
                let mut beat = interval(BEAT);
                beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        _ = beat.tick() => members.turn().await?,
                        () = stopping.cancelled() => return members.leave().await,
                    }
                }
            }
        }));
        Ok(())
    }

    /// The only member, without a row and without a beat: where there can be but one, as on a SQLite file that is claimed.
    pub fn stand_alone(&self, about: About) {
        self.0.alive.set(1);
        self.0.told.send_replace(vec![Member { node: self.0.node, about, since: Duration::ZERO }]);
    }

    /// Which node this is.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Who lives beside this node.
    pub fn others(&self) -> Vec<Member> {
        self.alive().into_iter().filter(|member| member.node != self.0.node).collect()
    }

    /// Who lives, this node included, the oldest first.
    pub fn alive(&self) -> Vec<Member> {
        self.0.told.borrow().clone()
    }

    /// How long ago the database last said so; nothing, where nobody needs to be asked.
    pub fn age(&self) -> Duration {
        if self.0.place.get().is_none() {
            return Duration::ZERO;
        }
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Resolves once `met` holds of the members.
    pub async fn until(&self, met: impl Fn(&[Member]) -> bool) {
        // The sender lives as long as this handle.
        let _ = self.0.told.subscribe().wait_for(|members| met(members)).await;
    }

    /// One turn: touches this node's row, and reads who else lives.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn turn(&self) -> Result<()> {
        let inner = &*self.0;
        let Some(Place { db, about, bus }) = inner.place.get() else {
            return Err(Error::internal("this node is no member yet"));
        };
        let ctx = within(TURN);
        let write = db.write(&ctx);
        sql!(
            "touch_member",
            sqlite: "insert into burgeon_member (node, name, version, roles, address, bus, limits, joined, seen)
                     values ($1, $2, $3, $4, $5, $6, $7, cast(unixepoch('subsec') * 1000000 as integer),
                             cast(unixepoch('subsec') * 1000000 as integer))
                     on conflict (node) do update set seen = excluded.seen",
            postgres: "insert into burgeon_member (node, name, version, roles, address, bus, limits, joined, seen)
                       values ($1, $2, $3, $4, $5, $6, $7, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
                               (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                       on conflict (node) do update set seen = excluded.seen",
            inner.node.to_string(),
            about.name.clone(),
            about.version.clone(),
            about.roles.join(" "),
            about.address.clone(),
            about.bus.clone(),
            about.limits.clone()
        )
        .execute(&write)
        .await?;
        let rows = living(db, &ctx).await?;
        sql!(
            "remove_members",
            sqlite: "delete from burgeon_member where seen < cast(unixepoch('subsec') * 1000000 as integer) - $1",
            postgres: "delete from burgeon_member where seen < (extract(epoch from clock_timestamp()) * 1000000)::bigint - $1",
            KEPT.as_micros() as i64
        )
        .execute(&write)
        .await?;

        let members: Vec<_> = rows.into_iter().filter_map(MemberRow::member).collect();
        *inner.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        inner.alive.set(members.len() as i64);
        if let Some(bus) = bus {
            // Who is heard already and has no row yet is not silent, and neither is one that merely does not reach the database.
            let living: Vec<NodeId> = members.iter().map(|member| member.node).collect();
            bus.forget_gone(&living);
        }
        inner.told.send_if_modified(|told| {
            let is_new = told.iter().map(|member| member.node).ne(members.iter().map(|member| member.node));
            *told = members;
            is_new
        });
        Ok(())
    }

    async fn leave(&self) -> Result<()> {
        let Some(Place { db, .. }) = self.0.place.get() else { return Ok(()) };
        let ctx = within(Duration::from_secs(1));
        let leaving =
            sql!("leave_members", "delete from burgeon_member where node = $1", self.0.node.to_string());
        let left = timeout(Duration::from_secs(1), leaving.execute(&db.write(&ctx))).await;
        if !matches!(left, Ok(Ok(_))) {
            tracing::debug!("left without a good-bye; the row counts as gone in ten seconds");
        }
        Ok(())
    }
}

impl MemberRow {
    /// None for a row of a version that writes nodes differently.
    fn member(self) -> Option<Member> {
        Some(Member {
            node: self.node.parse().ok()?,
            about: About {
                name: self.name,
                version: self.version,
                roles: self.roles.split_whitespace().map(str::to_owned).collect(),
                address: self.address,
                bus: self.bus,
                limits: self.limits,
            },
            since: Duration::from_micros(u64::try_from(self.since).unwrap_or(0)),
        })
    }
}

/// Who lives, for somebody who is no member: a command that runs beside the nodes. The oldest first.
///
/// # Errors
/// Whatever befell the database.
pub async fn alive(db: &Db) -> Result<Vec<Member>> {
    Ok(living(db, &within(TURN)).await?.into_iter().filter_map(MemberRow::member).collect())
}

async fn living(db: &Db, ctx: &Ctx) -> Result<Vec<MemberRow>> {
    sql!(
        "living_members",
        sqlite: "select node, name, version, roles, address, bus, limits, seen - joined as since from burgeon_member
                 where seen > cast(unixepoch('subsec') * 1000000 as integer) - $1 order by joined, node",
        postgres: "select node, name, version, roles, address, bus, limits, seen - joined as since from burgeon_member
                   where seen > (extract(epoch from clock_timestamp()) * 1000000)::bigint - $1 order by joined, node",
        GONE.as_micros() as i64
    )
    .all(&db.read(ctx).primary())
    .await
}

fn within(limit: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), limit))
}

fn as_text<S: serde::Serializer>(node: &NodeId, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(node)
}
