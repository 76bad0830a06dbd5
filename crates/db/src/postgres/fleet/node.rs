//! One server of a fleet: its pool, what is known of it, and how busy it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use burgeon_core::Cancel;
use burgeon_meter::{Counter, Gauge, Meters};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::judge;
use super::probe::Line;
use super::replayed::Replayed;
use crate::postgres::Pool;

/// How often a replica is asked how far it has come while somebody waits for that.
const LOOK: Duration = Duration::from_millis(2);
/// The least share of a replica that has just come back.
const LEAST_SHARE: f64 = 0.1;

/// One server.
pub(super) struct Node {
    /// Where it is: `db-2:5432`.
    pub(super) name: String,
    pub(super) pool: Pool,
    pub(super) standing: Arc<Standing>,
    pub(super) line: Line,
    weight: f64,
    in_flight: AtomicUsize,
    waiting: AtomicUsize,
    wanted: Notify,
    pub(super) meters: NodeMeters,
}

/// What the fleet knows of a server and whoever opens connections to it must know too.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// How far it has come as a standby.
    pub(crate) replayed: Replayed,
    /// In which of its lives it was confirmed as the primary, after all servers had been asked; 0 is none. Nothing
    /// before they were asked for the first time.
    confirmed: watch::Sender<Option<i64>>,
}

/// What is measured of each server.
pub(super) struct NodeMeters {
    lag_bytes: Gauge,
    lag: Gauge,
    in_rotation: Gauge,
    pub(super) ejections: Counter,
}

impl Standing {
    /// A connection to a primary was opened, of this life of the server. Whether it may be used. While nobody has been
    /// asked yet, this waits until they have.
    pub(crate) async fn is_confirmed(&self, life: i64, until: Instant) -> bool {
        let mut told = self.confirmed.subscribe();
        match timeout_at(until, told.wait_for(Option::is_some)).await {
            Ok(Ok(confirmed)) => *confirmed == Some(life),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    pub(in crate::postgres) fn confirm(&self, life: i64) {
        self.confirmed.send_replace(Some(life));
    }

    pub(super) fn revoke(&self) {
        self.confirmed.send_replace(Some(0));
    }
}

impl Node {
    pub(super) fn new(
        name: String,
        pool: Pool,
        standing: Arc<Standing>,
        weight: u32,
        meters: &Meters,
    ) -> Self {
        Self {
            meters: NodeMeters::new(&name, meters),
            name,
            pool,
            standing,
            line: Line::default(),
            weight: f64::from(weight.max(1)),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
        }
    }

    /// How much it has to do for its weight: the least is asked next.
    pub(super) fn load(&self, server: &judge::Server, slow_start: Duration) -> f64 {
        let share = match server.back_since {
            Some(since) if since.elapsed() < slow_start => {
                (since.elapsed().as_secs_f64() / slow_start.as_secs_f64()).max(LEAST_SHARE)
            }
            _ => 1.0,
        };
        (self.in_flight.load(Ordering::Relaxed) + 1) as f64 / (self.weight * share)
    }

    /// Counts a statement or transaction under way.
    pub(super) fn enter(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Waits until it has replayed so much. False when that took too long.
    pub(super) async fn reaches(&self, lsn: u64, until: Instant) -> bool {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _leaves = Leaves(&self.waiting);
        self.wanted.notify_one();
        self.standing.replayed.reaches(lsn, until).await
    }

    /// Asks how far it has come for as long as somebody waits for that: one question for all who wait.
    pub(super) async fn keep_looking(self: Arc<Self>, stopping: Cancel) {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.wanted.notified() => {}
            }
            while self.waiting.load(Ordering::Acquire) > 0 && !stopping.is_cancelled() {
                self.line.look(&self.standing.replayed).await;
                sleep(LOOK).await;
            }
        }
    }
}

/// A statement or transaction under way on a server.
pub(crate) struct Busy(Arc<Node>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One who waits, and leaves.
struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl NodeMeters {
    fn new(name: &str, meters: &Meters) -> Self {
        let labels = [("server", name)];
        Self {
            lag_bytes: meters.gauge(
                "db_replica_lag_bytes",
                "How much log a replica has yet to replay.",
                &labels,
            ),
            lag: meters.gauge(
                "db_replica_lag_milliseconds",
                "For how long the primary has been ahead of a replica; on an idle primary zero.",
                &labels,
            ),
            in_rotation: meters.gauge(
                "db_replica_in_rotation",
                "1 where reads may go to this replica.",
                &labels,
            ),
            ejections: meters.counter(
                "db_replica_ejections_total",
                "How often a replica was taken out of rotation.",
                &labels,
            ),
        }
    }

    pub(super) fn show(&self, server: &judge::Server) {
        self.lag_bytes.set(i64::try_from(server.lag_bytes).unwrap_or(i64::MAX));
        self.lag.set(i64::try_from(server.lag.as_millis()).unwrap_or(i64::MAX));
        self.in_rotation.set(i64::from(server.in_rotation));
    }
}
