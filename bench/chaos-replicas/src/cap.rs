//! All replicas lag, and more is asked of the primary than it is meant to take: how much reaches it, and who is refused?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::NoTls;

use crate::Failure;
use crate::client::Client;
use crate::site::{FALLBACK, NODES, Site};

const SHEDDABLE: usize = 900;
const CRITICAL: usize = 12;
const LASTS: Duration = Duration::from_secs(4);

#[derive(Default)]
struct Count {
    served: AtomicU64,
    refused: AtomicU64,
    strange: AtomicU64,
}

pub async fn run(site: &Site) -> Result<String, Failure> {
    let mut writer = Client::default();
    for replica in &site.replicas {
        replica.pause_replay().await?;
    }
    // Something that no replica has.
    let written = writer.ask(site.nodes[0].port, "PUT", "/notes/1000000/1").await?;
    if written.status != 204 || writer.position.is_none() {
        return Err(format!("the write was answered with {written:?} and {:?}", writer.position).into());
    }
    let end = Arc::new(AtomicBool::new(false));
    let (sheddable, critical) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut clients = JoinSet::new();
    for number in 0..SHEDDABLE + CRITICAL {
        let (path, count) = match number < CRITICAL {
            true => ("/checkout/1000000", critical.clone()),
            false => ("/slow/1000000", sheddable.clone()),
        };
        let port = site.nodes[number % NODES].port;
        let (position, end) = (writer.position.clone(), end.clone());
        clients.spawn(async move {
            let mut client = Client::default();
            client.position = position;
            while !end.load(Ordering::Relaxed) {
                let counted = match client.ask(port, "GET", path).await {
                    Ok(answer) if answer.status == 200 => &count.served,
                    Ok(answer) if answer.status == 503 => {
                        // As it was asked to, though not for as long: the pressure is the point.
                        sleep(Duration::from_millis(100)).await;
                        &count.refused
                    }
                    _ => &count.strange,
                };
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let most = watch(&site.primary.url_of(&site.database)).await?;
    end.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    for replica in &site.replicas {
        replica.resume_replay().await?;
    }
    let allowed = (FALLBACK * NODES) as i64;
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let told = format!(
        "at most {most} reads at once on the primary (cap {allowed}) under {SHEDDABLE} sheddable and {CRITICAL} critical \
         clients; critical: {} served, {} refused; sheddable: {} served, {} refused",
        get(&critical.served),
        get(&critical.refused),
        get(&sheddable.served),
        get(&sheddable.refused),
    );
    if most > allowed {
        return Err(format!("the cap did not hold: {told}").into());
    }
    if most < allowed / 2 || get(&sheddable.refused) == 0 {
        return Err(format!("there was no pressure, so nothing was tested: {told}").into());
    }
    if get(&critical.strange) + get(&sheddable.strange) > 0 {
        return Err(
            format!("{} strange answers; {told}", get(&critical.strange) + get(&sheddable.strange)).into()
        );
    }
    let share =
        |count: &Count| get(&count.served) as f64 / (get(&count.served) + get(&count.refused)).max(1) as f64;
    if share(&critical) < 0.99 || get(&critical.served) == 0 {
        return Err(format!("critical reads were refused: {told}").into());
    }
    Ok(told)
}

/// The most slow reads that were seen at once on the primary, by its own account.
async fn watch(url: &str) -> Result<i64, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let started = Instant::now();
    let mut most = 0;
    while started.elapsed() < LASTS {
        let running = "select count(*) from pg_stat_activity
                       where state = 'active' and query like 'select version, pg_sleep%'";
        most = most.max(client.query_one(running, &[]).await?.get(0));
        sleep(Duration::from_millis(3)).await;
    }
    driver.abort();
    Ok(most)
}
