//! Asking one server who it is and how far it has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use super::judge::{Sample, Silence};
use super::replayed::Replayed;
use crate::postgres::connect::Connector;
use crate::postgres::connection::Connection;

/// All in one statement, so that it is of one moment. The timeline of a standby is a lower bound: of its last restart
/// point, or, where the role may see it, of what it receives; a standby receives only what continues its own history.
const WHO: &str = "\
select (select system_identifier from pg_control_system()) as system,
       pg_is_in_recovery() as in_recovery,
       case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0')
            else pg_current_wal_insert_lsn() end as lsn,
       case when pg_is_in_recovery()
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select received_tli from pg_stat_wal_receiver))
            else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end as timeline,
       case when not pg_is_in_recovery() then pg_last_wal_replay_lsn() end as began,
       (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as life,
       to_regclass('burgeon_timeline') is not null as remembers";
const BEGINNINGS: &str = "select timeline, began from burgeon_timeline order by timeline desc limit 16";
const HOW_FAR: &str = "select coalesce(pg_last_wal_replay_lsn(), '0/0') as lsn";

/// A connection of the monitor's own to one server: a pool that is full says nothing about the server.
#[derive(Default)]
pub(super) struct Line(Mutex<Option<Arc<Connection>>>);

impl Line {
    /// Who it is and how far it has come. A connection that broke is opened anew, once.
    pub(super) async fn ask(
        &self,
        connector: &Connector,
        replayed: &Replayed,
        until: Instant,
    ) -> Result<Sample, Silence> {
        match timeout_at(until, self.ask_twice(connector, replayed, until)).await {
            Ok(answer) => answer,
            Err(_) => {
                // A frozen server would keep it for ever.
                self.close();
                Err(Silence::Late)
            }
        }
    }

    async fn ask_twice(
        &self,
        connector: &Connector,
        replayed: &Replayed,
        until: Instant,
    ) -> Result<Sample, Silence> {
        let mut last = None;
        for _ in 0..2 {
            let connection = match self.open() {
                Some(connection) => connection,
                None => {
                    let opened = connector.survey(until).await;
                    let opened = opened.map_err(|refusal| match Instant::now() >= until {
                        true => Silence::Late,
                        false => Silence::Broken(refusal.why),
                    })?;
                    let opened: Arc<Connection> = Arc::from(opened);
                    *self.connection() = Some(opened.clone());
                    opened
                }
            };
            let asking = replayed.asking();
            match who(connection.client()).await {
                Ok(sample) => {
                    if sample.in_recovery {
                        replayed.learn(asking, sample.lsn);
                    }
                    return Ok(sample);
                }
                Err(error) => {
                    *self.connection() = None;
                    last = Some(error);
                }
            }
        }
        // The server spoke, and did not answer the question: a promotion between its parts, or a starting server.
        let why = last.map_or_else(String::new, |error| error.to_string());
        Err(Silence::Broken(format!("it cannot say who it is: {why}")))
    }

    /// How far a standby has come, for those who wait for it. False when it did not say.
    pub(super) async fn look(&self, replayed: &Replayed) -> bool {
        let Some(connection) = self.open() else { return false };
        let asking = replayed.asking();
        let Ok(answer) = connection.client().simple_query(HOW_FAR).await else { return false };
        match rows(&answer).next().and_then(|row| lsn(row.get("lsn"))) {
            Some(lsn) => {
                replayed.learn(asking, lsn);
                true
            }
            None => false,
        }
    }

    /// Has a primary remember where its timeline began, in its own database: what replicates from it then knows too.
    pub(super) async fn remember(&self, timeline: u32, began: u64) -> Result<(), Error> {
        let Some(connection) = self.open() else { return Ok(()) };
        let sql = format!(
            "insert into burgeon_timeline (timeline, began) values ({timeline}, {began}) on conflict do nothing"
        );
        connection.client().batch_execute(&sql).await
    }

    pub(super) fn close(&self) {
        if let Some(connection) = self.connection().take() {
            connection.abandon();
        }
    }

    fn open(&self) -> Option<Arc<Connection>> {
        self.connection().clone().filter(|connection| connection.is_open())
    }

    fn connection(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn who(client: &Client) -> Result<Sample, Error> {
    let answer = client.simple_query(WHO).await?;
    let row = rows(&answer).next();
    let text = |name| row.and_then(|row| row.get(name));
    let mut sample = Sample {
        system: text("system").and_then(|system| system.parse().ok()).unwrap_or_default(),
        in_recovery: text("in_recovery") == Some("t"),
        timeline: text("timeline").and_then(|timeline| timeline.parse().ok()).unwrap_or_default(),
        lsn: lsn(text("lsn")).unwrap_or_default(),
        began: lsn(text("began")).filter(|began| *began > 0),
        life: text("life").and_then(|life| life.parse().ok()).unwrap_or_default(),
        beginnings: Vec::new(),
        remembers: text("remembers") == Some("t"),
    };
    if sample.remembers {
        let answer = client.simple_query(BEGINNINGS).await?;
        sample.beginnings = rows(&answer)
            .filter_map(|row| Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?)))
            .collect();
        // What it remembers it has replayed, so it is on that timeline at least.
        let remembered = sample.beginnings.iter().map(|(timeline, _)| *timeline).max().unwrap_or(0);
        sample.timeline = sample.timeline.max(remembered);
    }
    Ok(sample)
}

fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// `16/B374D848`.
pub(in crate::postgres) fn lsn(text: Option<&str>) -> Option<u64> {
    let (high, low) = text?.split_once('/')?;
    let part = |text| u32::from_str_radix(text, 16).ok().map(u64::from);
    Some(part(high)? << 32 | part(low)?)
}
