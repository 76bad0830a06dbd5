//! A thousand requests for one key on three nodes at once, and a loader at its worst: no herd, and everybody is answered in
//! time.

use std::time::Duration;

use burgeon_cache::Fault;
use burgeon_core::Result;
use burgeon_runtime::Task;
use tokio::time::{Instant, advance};

use crate::house::within;
use crate::nodes::Site;

type Answers = Vec<Result<Option<u64>>>;

const REQUESTS: usize = 1_000;

/// All ask before any load can end.
async fn ask(site: &Site, budget: Duration) -> Vec<Task<Result<Option<u64>>>> {
    let asked = (0..REQUESTS)
        .map(|number| {
            let node = &site.nodes[number % site.nodes.len()];
            let cache = node.cache.clone();
            let ctx = within(budget);
            node.tasks.spawn("request", async move {
                cache.get(&ctx, &1).await.map(|value| value.as_deref().copied())
            })
        })
        .collect();
    tokio::task::yield_now().await;
    asked
}

async fn answers(asked: Vec<Task<Result<Option<u64>>>>) -> Answers {
    let mut answers = Vec::new();
    for task in asked {
        answers.push(task.await.unwrap());
    }
    answers
}

const BUDGET: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn of_one_cold_key_each_node_makes_one_load() {
    for nodes in [1, 3] {
        let site = Site::of(nodes).await;
        site.origin.takes(Duration::from_millis(100));
        let answers = answers(ask(&site, BUDGET).await).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(1)));
        assert_eq!(site.origin.loads(), nodes as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_is_asked_once_per_node_and_answers_everybody() {
    let site = Site::of(3).await;
    site.origin.takes(Duration::from_millis(100));
    site.origin.fail(true);
    let failed = answers(ask(&site, BUDGET).await).await;
    assert!(failed.into_iter().all(|answer| answer.is_err()));
    assert_eq!(site.origin.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn with_a_stale_value_a_loader_that_fails_is_seen_by_nobody() {
    let site = Site::of(3).await;
    for node in &site.nodes {
        node.cache.get(&within(BUDGET), &1).await.unwrap();
    }
    advance(Duration::from_secs(31)).await;
    site.origin.fail(true);
    // And not asked again before its time.
    for _ in 0..10 {
        let served = answers(ask(&site, BUDGET).await).await;
        assert!(served.into_iter().all(|answer| answer.unwrap() == Some(1)));
    }
    assert_eq!(site.origin.loads(), 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_hangs_keeps_nobody_beyond_his_deadline() {
    let site = Site::of(3).await;
    site.origin.hold_all();
    let started = Instant::now();
    let late = answers(ask(&site, BUDGET).await).await;
    assert!(started.elapsed() <= BUDGET + Duration::from_millis(10), "{:?}", started.elapsed());
    for answer in late {
        let error = answer.unwrap_err();
        assert!(matches!(error.find::<Fault>(), Some(Fault::Timeout { .. })), "{error:?}");
    }
    // The next thousand wait for the same loads.
    let more = ask(&site, BUDGET).await;
    site.origin.release();
    assert!(answers(more).await.into_iter().all(|answer| answer.unwrap() == Some(1)));
    assert_eq!(site.origin.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn with_a_stale_value_a_loader_that_hangs_costs_half_a_second() {
    let site = Site::of(3).await;
    for node in &site.nodes {
        node.cache.get(&within(BUDGET), &1).await.unwrap();
    }
    advance(Duration::from_secs(31)).await;
    site.origin.hold_all();
    let started = Instant::now();
    let served = answers(ask(&site, BUDGET).await).await;
    assert!(served.into_iter().all(|answer| answer.unwrap() == Some(1)));
    assert!(started.elapsed() <= Duration::from_millis(510), "{:?}", started.elapsed());
    assert_eq!(site.origin.loads(), 3 + 3);
    site.origin.release();
}

#[tokio::test(start_paused = true)]
async fn a_first_caller_who_leaves_takes_nobodys_load_along() {
    let site = Site::of(3).await;
    site.origin.hold_all();
    let mut asked = ask(&site, BUDGET).await;
    site.origin.begun(3).await;
    // The three who began the loads.
    for leader in asked.drain(..3) {
        leader.abort();
        assert!(leader.await.is_err());
    }
    site.origin.release();
    assert!(answers(asked).await.into_iter().all(|answer| answer.unwrap() == Some(1)));
    assert_eq!(site.origin.loads(), 3);
}
