//! The task that asks all servers who they are, round by round, and publishes what is judged from it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use burgeon_core::{Cancel, Result};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::judge::{Answers, Change, Sample, View};
use super::{Fleet, Inner, ROUND, Routing, SEEKING};

/// However often somebody knocks, rounds are this far apart.
const BREATH: Duration = Duration::from_millis(25);

/// Rounds for as long as the fleet lives.
pub(super) async fn watch(fleet: Weak<Inner>, stopping: Cancel) -> Result<()> {
    loop {
        let Some(inner) = fleet.upgrade() else { return Ok(()) };
        let Some(routing) = &inner.routing else { return Ok(()) };
        let pause = match routing.view().primary {
            Some(_) => routing.config.check,
            None => SEEKING.min(routing.config.check),
        };
        let knocks = routing.knocks.clone();
        drop(inner);
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = knocks.notified() => sleep(BREATH).await,
            () = sleep(pause) => {}
        }
        let Some(fleet) = fleet.upgrade().map(Fleet) else { return Ok(()) };
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = round(&fleet) => {}
        }
    }
}

/// Asks all servers at once, and judges when the last has answered or has taken too long.
pub(super) async fn round(fleet: &Fleet) {
    let Some(routing) = &fleet.0.routing else { return };
    let now = Instant::now();
    let until = now + ROUND;
    let asked = fleet.0.nodes.iter().map(|node| {
        let connector = node.pool.connector();
        async move { node.line.ask(connector, &node.standing.replayed, until).await }
    });
    let answers: Answers = join_all(asked).await;

    let floor = routing.floor.load(Ordering::Acquire);
    let (changes, view) = {
        let mut judge = routing.judge();
        let changes = judge.judge(now, &answers, floor);
        (changes, judge.view().clone())
    };
    publish(fleet, routing, view);
    for change in changes {
        tell(fleet, routing, change);
    }
    remember(fleet, routing, &answers).await;
}

/// First who may be written to, then the word that it may.
fn publish(fleet: &Fleet, routing: &Routing, view: View) {
    for (index, node) in fleet.0.nodes.iter().enumerate() {
        match view.primary == Some(index) {
            true => node.standing.confirm(view.life),
            false => node.standing.revoke(),
        }
        node.meters.show(&view.servers[index]);
    }
    routing.floor.fetch_max(view.timeline, Ordering::AcqRel);
    routing.meters.timeline.set(i64::from(view.timeline));
    routing.view.send_if_modified(|known| {
        let news = **known != view;
        if news {
            *known = Arc::new(view);
        }
        news
    });
}

fn tell(fleet: &Fleet, routing: &Routing, change: Change) {
    let name = |server: usize| fleet.0.nodes[server].name.as_str();
    match change {
        Change::Primary { server, timeline } => {
            tracing::info!(server = name(server), timeline, "the database's primary");
        }
        Change::NoPrimary => {
            routing.meters.primary_losses.increment();
            let why = routing.view().no_primary(&routing.names);
            tracing::warn!(why, "the database has no primary; reads go on where a replica can answer them");
        }
        Change::Promoted { timeline, began } => {
            routing.meters.promotions.increment();
            let acknowledged = routing.acknowledged.swap(0, Ordering::AcqRel);
            let lost = began.map_or(0, |began| acknowledged.saturating_sub(began));
            routing.meters.lost_bytes.set(i64::try_from(lost).unwrap_or(i64::MAX));
            if lost > 0 {
                tracing::error!(
                    timeline,
                    lost_bytes = lost,
                    "a replica was promoted that had not received everything: up to so much of the log that this \
                     process had acknowledged is lost (synchronous_standby_names prevents that)"
                );
            } else {
                tracing::warn!(
                    timeline,
                    "a replica was promoted; nothing acknowledged here is known to be lost"
                );
            }
        }
        Change::Out { server, why } => {
            fleet.0.nodes[server].meters.ejections.increment();
            tracing::warn!(server = name(server), why, "a database server is out of rotation");
        }
        Change::Back { server } => {
            tracing::info!(server = name(server), "a replica is back in rotation");
        }
        Change::Split { servers } => {
            let names: Vec<_> = servers.iter().map(|server| name(*server)).collect();
            tracing::error!(
                servers = names.join(", "),
                "several database servers take writes on one timeline; nothing is written until one of them is gone"
            );
        }
    }
}

/// Has the primary remember its own timeline. Only then do replicas know it, and what begins without a memory of it
/// would have to be told by clients.
async fn remember(fleet: &Fleet, routing: &Routing, answers: &Answers) {
    let view = routing.view();
    let Some(primary) = view.primary else { return };
    let Ok(Sample { remembers: true, beginnings, began, timeline, .. }) = &answers[primary] else { return };
    if beginnings.iter().any(|(known, _)| known == timeline) {
        return;
    }
    let remembered = fleet.0.nodes[primary].line.remember(*timeline, began.unwrap_or(0)).await;
    if let Err(error) = remembered {
        tracing::warn!(%error, timeline, "the database could not be told to remember its timeline");
    }
}
