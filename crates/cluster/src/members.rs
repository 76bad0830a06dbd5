//! Members: which nodes live, what they are, and which have gone.
//!
//! What this is: a row per node in the application's database, touched every two seconds, on the database's clock. What
//! it is not: a failure detector to decide by. A node that is not seen may still run; who must not act beside it uses a
//! [lease](crate::lease).
//!
//! # Invariants
//! - A node whose row was not touched for ten seconds is gone for all, at the same time on the database's clock.
//! - A node that leaves takes its row with it. Rows of those that could not are removed a minute after.
//!
//! # When it breaks
//! Without the database the last known members stand, and [`Members::age`] says how old that is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Result};
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
    db: Db,
    node: NodeId,
    about: About,
    bus: Option<Bus>,
    // Not a tokio mutex: nothing awaits under it.
    seen: Mutex<Instant>,
    told: watch::Sender<Vec<Member>>,
    alive: Gauge,
}

#[derive(Row)]
struct MemberRow {
    node: String,
    name: String,
    version: String,
    roles: String,
    address: String,
    since: i64,
}

impl Members {
    /// Joins, and stays until `tasks` stop. With a bus, nodes that are gone are forgotten there. The
    /// [migrations](crate::migrations) must have run.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn join(
        db: &Db,
        node: NodeId,
        about: About,
        bus: Option<Bus>,
        tasks: &Tasks,
        meters: &Meters,
    ) -> Result<Self> {
        let alive = meters.gauge("cluster_members", "Nodes that live, as far as the database knows.", &[]);
        let (told, _) = watch::channel(Vec::new());
        let seen = Mutex::new(Instant::now());
        let members = Self(Arc::new(Inner { db: db.clone(), node, about, bus, seen, told, alive }));
        members.turn().await?;
        let (own, stopping) = (members.clone(), tasks.stopping());
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
        Ok(members)
    }

    /// Who lives, this node included, the oldest first.
    pub fn alive(&self) -> Vec<Member> {
        self.0.told.borrow().clone()
    }

    /// How long ago the database last said so.
    pub fn age(&self) -> Duration {
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
        let ctx = within(TURN);
        let write = inner.db.write(&ctx);
        let about = &inner.about;
        sql!(
            "touch_member",
            sqlite: "insert into burgeon_member (node, name, version, roles, address, joined, seen)
                     values ($1, $2, $3, $4, $5, cast(unixepoch('subsec') * 1000000 as integer),
                             cast(unixepoch('subsec') * 1000000 as integer))
                     on conflict (node) do update set seen = excluded.seen",
            postgres: "insert into burgeon_member (node, name, version, roles, address, joined, seen)
                       values ($1, $2, $3, $4, $5, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
                               (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                       on conflict (node) do update set seen = excluded.seen",
            inner.node.to_string(),
            about.name.clone(),
            about.version.clone(),
            about.roles.join(" "),
            about.address.clone()
        )
        .execute(&write)
        .await?;
        let rows: Vec<MemberRow> = sql!(
            "living_members",
            sqlite: "select node, name, version, roles, address, seen - joined as since from burgeon_member
                     where seen > cast(unixepoch('subsec') * 1000000 as integer) - $1 order by joined, node",
            postgres: "select node, name, version, roles, address, seen - joined as since from burgeon_member
                       where seen > (extract(epoch from clock_timestamp()) * 1000000)::bigint - $1 order by joined, node",
            GONE.as_micros() as i64
        )
        .all(&write)
        .await?;
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
        if let Some(bus) = &inner.bus {
            let before: Vec<NodeId> = inner.told.borrow().iter().map(|member| member.node).collect();
            // Who was a member and is none: not who is heard already and has no row yet.
            for gone in before.into_iter().filter(|node| members.iter().all(|member| member.node != *node)) {
                bus.forget(gone);
            }
        }
        inner.told.send_if_modified(|told| {
            let is_new = told.iter().map(|member| member.node).ne(members.iter().map(|member| member.node));
            *told = members;
            is_new
        });
        Ok(())
    }

    async fn leave(&self) -> Result<()> {
        let ctx = within(Duration::from_secs(1));
        let leaving =
            sql!("leave_members", "delete from burgeon_member where node = $1", self.0.node.to_string());
        let left = timeout(Duration::from_secs(1), leaving.execute(&self.0.db.write(&ctx))).await;
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
            },
            since: Duration::from_micros(u64::try_from(self.since).unwrap_or(0)),
        })
    }
}

fn within(limit: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), limit))
}

fn as_text<S: serde::Serializer>(node: &NodeId, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(node)
}
