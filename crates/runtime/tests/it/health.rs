//! Probes get a prompt answer, and dependencies a bounded number of questions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use burgeon_core::Error;
use burgeon_runtime::{Health, State};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_thousand_probes_ask_a_dependency_once() {
    let health = Health::new();
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    health.check("database", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            sleep(Duration::from_millis(200)).await;
            Ok(())
        }
    });
    let reports = futures_util::future::join_all((0..1_000).map(|_| health.report())).await;
    assert!(reports.iter().all(|report| report.ready));
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    sleep(Duration::from_millis(999)).await;
    assert!(health.report().await.ready);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    sleep(Duration::from_millis(2)).await;
    assert!(health.report().await.ready);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_fails_panics_or_is_silent_makes_the_process_unready_but_not_dead() {
    let health = Health::new();
    let well = Arc::new(AtomicBool::new(true));
    let asked = well.clone();
    health.check("database", move || {
        let well = asked.load(Ordering::SeqCst);
        async move { if well { Ok(()) } else { Err(Error::unavailable("connection refused")) } }
    });
    health.check("clumsy", || async { if false { Ok(()) } else { panic!("a defect") } });
    health.check("silent", std::future::pending);
    well.store(false, Ordering::SeqCst);

    let began = Instant::now();
    let report = health.report().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1), "the silent one is not waited for longer");
    assert!(report.live && report.started && !report.ready);
    let reason =
        |name: &str| report.parts.iter().find(|part| part.name == name).unwrap().reason.clone().unwrap();
    assert!(reason("database").contains("connection refused"));
    assert_eq!(reason("clumsy"), "the check panicked: a defect");
    assert_eq!(reason("silent"), "no answer within 1s");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_left_in_the_middle_does_not_hinder_the_next() {
    let health = Health::new();
    health.check("slow", || async {
        sleep(Duration::from_millis(800)).await;
        Ok(())
    });
    let gone = tokio::time::timeout(Duration::from_millis(100), health.report()).await;
    assert!(gone.is_err());
    assert!(health.report().await.ready);
}

#[tokio::test]
async fn a_part_says_its_state_itself() {
    let health = Health::new();
    let cluster = health.part("cluster");
    assert!(!health.report().await.ready, "not ready until it says so");
    cluster.failed("two nodes have one name; set `app.node`");
    let report = health.report().await;
    assert_eq!(report.parts[0].state, State::Failed);
    assert!(report.parts[0].reason.as_deref().unwrap().contains("app.node"));
    cluster.ready();
    assert!(health.report().await.ready);
    cluster.draining();
    assert!(!health.report().await.ready);
}

#[tokio::test]
async fn a_check_under_the_name_of_a_part_speaks_for_it_once_it_is_ready() {
    let health = Health::new();
    let database = health.part("database");
    health.check("database", || async { Err(Error::unavailable("refused")) });
    let report = health.report().await;
    let states: Vec<_> = report.parts.iter().map(|part| part.state).collect();
    assert_eq!(states, [State::Starting], "its own word while it starts, and listed once");
    database.ready();
    let report = health.report().await;
    assert_eq!((report.parts.len(), report.parts[0].state, report.ready), (1, State::Failed, false));
    assert!(report.parts[0].reason.as_deref().unwrap().contains("refused"));
}
