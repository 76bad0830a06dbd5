//! The primary dies, a replica is promoted, and the old primary comes back and believes itself.
//!
//! Clients write notes that exist once, and know which were acknowledged. At the end the new primary is asked for all of them,
//! and the old one for those that it should not have.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burgeon_services::Postgres;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Failure;
use crate::client::{Answer, Client};
use crate::site::Site;

const WRITERS: u64 = 30;
const READERS: usize = 10;
/// What an administrator's tool would take to be sure that the primary is gone.
const DECIDES: Duration = Duration::from_millis(700);
const SOON: Duration = Duration::from_secs(5);
/// Longer than this nobody waits.
const NEVER: Duration = Duration::from_secs(30);

/// What is known outside of the system.
#[derive(Default)]
struct Ledger {
    /// Which note, and when.
    acknowledged: Vec<(u64, Instant)>,
    /// When reads were answered.
    read: Vec<Instant>,
    strange: Vec<String>,
}

pub async fn run(site: &Site, synchronous: bool) -> Result<String, Failure> {
    if synchronous {
        site.primary.set("synchronous_standby_names", "ANY 1 (*)").await?;
    }
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let end = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(1));
    let mut clients = JoinSet::new();
    for number in 0..WRITERS as usize + READERS {
        let (ledger, end, next) = (ledger.clone(), end.clone(), next.clone());
        let ports: Vec<u16> = site.nodes.iter().map(|node| node.port).collect();
        let writes = number >= READERS;
        clients.spawn(async move {
            let mut client = Client::default();
            let mut turn = number;
            while !end.load(Ordering::Relaxed) {
                turn += 1;
                let port = ports[turn % ports.len()];
                let id = next.fetch_add(u64::from(writes), Ordering::Relaxed);
                let (method, path) = match writes {
                    true => ("PUT", format!("/notes/{id}/1")),
                    false => ("GET", format!("/notes/{}", id / 2)),
                };
                let answer = client.ask(port, method, &path).await;
                lock(&ledger).note(answer, &format!("{method} {path}"), id);
                sleep(Duration::from_millis(5)).await;
            }
        });
    }
    sleep(Duration::from_millis(1_500)).await;

    if !synchronous {
        // They stop receiving: what is acknowledged from here on no replica has. (Freezing them would not do: what the
        // primary has sent waits in their sockets.)
        for replica in &site.replicas {
            replica.set("primary_conninfo", "").await?;
        }
        sleep(Duration::from_millis(500)).await;
    }
    let killed = Instant::now();
    site.primary.kill().await?;
    sleep(DECIDES).await;
    let (new, follower) = furthest(&site.replicas).await?;
    new.promote().await?;
    let promoted = Instant::now();
    follower.follow(new).await?;
    if synchronous {
        new.set("synchronous_standby_names", "ANY 1 (*)").await?;
    }
    let written =
        until(&ledger, |ledger| after(ledger.acknowledged.iter().map(|(_, at)| *at), promoted)).await?;
    sleep(Duration::from_secs(1)).await;

    // The old one comes back while clients write.
    let ids_then = next.load(Ordering::Relaxed);
    site.primary.restart().await?;
    sleep(Duration::from_secs(2)).await;
    end.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended?;
    }

    let strays = site
        .primary
        .psql(&site.database, &format!("select count(*) from notes_note where id >= {ids_then}"))
        .await?;
    let kept: BTreeSet<u64> = new
        .psql(&site.database, "select id from notes_note")
        .await?
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    let mut told_bytes = 0_f64;
    for node in &site.nodes {
        let metrics = node.metrics().await?;
        let told = metrics.lines().find_map(|line| line.strip_prefix("db_lost_bytes ")?.trim().parse().ok());
        told_bytes = told_bytes.max(told.unwrap_or(0.0));
    }
    let ledger = lock(&ledger);
    let lost: Vec<&(u64, Instant)> =
        ledger.acknowledged.iter().filter(|(id, _)| !kept.contains(id)).collect();
    let gap = widest_gap(&ledger.read, killed);
    let story = format!(
        "{} writes acknowledged, {} of them lost; reads went without an answer for at most {:.1} s; the first write was \
         acknowledged {:.1} s after the promotion; {strays} writes on the old primary after it came back; the nodes told \
         of {told_bytes} bytes that may be lost",
        ledger.acknowledged.len(),
        lost.len(),
        gap.as_secs_f64(),
        written.saturating_duration_since(promoted).as_secs_f64(),
    );
    if let Some(strange) = ledger.strange.first() {
        return Err(format!("{} strange answers, the first: {strange}; {story}", ledger.strange.len()).into());
    }
    if strays != "0" {
        return Err(format!("the old primary was written to: {story}").into());
    }
    if synchronous && !lost.is_empty() {
        return Err(format!("acknowledged writes are lost: {story}").into());
    }
    if !synchronous {
        if lost.is_empty() || told_bytes == 0.0 {
            return Err(format!("the lost tail was to be lost, and told: {story}").into());
        }
        if let Some((id, _)) = lost.iter().find(|(_, at)| *at > promoted) {
            return Err(format!("note {id} was acknowledged after the promotion and is lost: {story}").into());
        }
    }
    if gap > SOON || written.saturating_duration_since(promoted) > SOON {
        return Err(format!("too slow: {story}").into());
    }
    if ledger.acknowledged.iter().filter(|(id, _)| *id >= ids_then).count() == 0 {
        return Err(format!(
            "nothing was written after the old primary came back, so nothing was tested: {story}"
        )
        .into());
    }
    Ok(story)
}

impl Ledger {
    fn note(&mut self, answer: Result<Answer, Failure>, asked: &str, id: u64) {
        let now = Instant::now();
        match answer.map(|answer| answer.status) {
            Ok(204) => self.acknowledged.push((id, now)),
            Ok(200) => self.read.push(now),
            // Nobody to ask just now: an honest answer.
            Ok(503 | 504) => {}
            Ok(status) => self.strange.push(format!("{asked}: {status}")),
            Err(error) => self.strange.push(format!("{asked}: {error}")),
        }
    }
}

/// The replica that has received most, and the other.
async fn furthest(replicas: &[Postgres]) -> Result<(&Postgres, &Postgres), Failure> {
    let (one, other) = (&replicas[0], &replicas[1]);
    let received = "select pg_last_wal_receive_lsn() - '0/0'::pg_lsn";
    let (of_one, of_other): (u64, u64) =
        (one.psql("postgres", received).await?.parse()?, other.psql("postgres", received).await?.parse()?);
    Ok(if of_one >= of_other { (one, other) } else { (other, one) })
}

/// The first moment after `since`.
fn after(mut moments: impl Iterator<Item = Instant>, since: Instant) -> Option<Instant> {
    moments.find(|at| *at > since)
}

async fn until(
    ledger: &Mutex<Ledger>,
    found: impl Fn(&Ledger) -> Option<Instant>,
) -> Result<Instant, Failure> {
    let started = Instant::now();
    loop {
        if let Some(at) = found(&lock(ledger)) {
            return Ok(at);
        }
        if started.elapsed() > NEVER {
            return Err("nothing was written within 30 s of the promotion".into());
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// How long there was no answer, at worst, from shortly before the kill on.
fn widest_gap(read: &[Instant], killed: Instant) -> Duration {
    let mut read: Vec<_> = read.iter().filter(|at| **at + Duration::from_secs(1) > killed).copied().collect();
    read.sort();
    read.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or(NEVER)
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
