//! Every task has a name and an owner that awaits and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error, Kind};
use burgeon_meter::Meters;
use burgeon_runtime::{Restart, Tasks};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stop_raises_the_flag_and_awaits_all() {
    let tasks = Tasks::new(&Meters::new());
    let ended = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        let (stopping, ended) = (tasks.stopping(), ended.clone());
        drop(tasks.spawn("patient", async move {
            stopping.cancelled().await;
            sleep(SECOND).await;
            ended.fetch_add(1, Ordering::SeqCst);
        }));
    }
    assert_eq!(tasks.running(), [("patient".to_owned(), 10)]);
    tasks.stop(5 * SECOND).await.unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 10);
    assert!(tasks.running().is_empty());
    tasks.stop(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_in_time_is_aborted_and_named() {
    let tasks = Tasks::new(&Meters::new());
    let deaf = tasks.spawn("deaf", std::future::pending::<()>());
    drop(tasks.spawn("deaf", std::future::pending::<()>()));
    drop(tasks.part().spawn("stubborn", std::future::pending::<()>()));
    let began = Instant::now();
    let error = tasks.stop(SECOND).await.unwrap_err();
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(error.public().contains("deaf (2), stubborn"), "{error}");
    assert_eq!(deaf.await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_stopped_owner_takes_no_more_tasks() {
    let tasks = Tasks::new(&Meters::new());
    tasks.stop(SECOND).await.unwrap();
    let (guard, dropped) = oneshot::channel::<()>();
    let late = tasks.spawn("late", async move { drop(guard) });
    assert!(dropped.await.is_err(), "the future is dropped at once");
    assert!(late.await.unwrap_err().public().contains("`late`"));
    assert_eq!(tasks.blocking("late", || 1).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(tasks.part().spawn("later", async {}).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_panic_is_caught_counted_and_told() {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let error = tasks.spawn("clumsy", async { panic!("dropped the {}", "vase") }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.detail().contains("`clumsy` panicked: dropped the vase"), "{}", error.detail());
    let error = tasks.blocking("clumsy", || panic!("again")).await.unwrap_err();
    assert!(error.detail().contains("panicked: again"), "{}", error.detail());
    assert_eq!(meters.counter("runtime_task_panics_total", "", &[("task", "clumsy")]).get(), 2);
    tasks.stop(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_part_stops_alone_and_with_the_whole() {
    let tasks = Tasks::new(&Meters::new());
    let (one, other) = (tasks.part(), tasks.part());
    for part in [&one, &other] {
        let stopping = part.stopping();
        drop(part.spawn("worker", async move { stopping.cancelled().await }));
    }
    one.stop(SECOND).await.unwrap();
    assert!(!other.stopping().is_cancelled());
    assert_eq!(tasks.running(), [("worker".to_owned(), 1)]);
    tasks.stop(SECOND).await.unwrap();
    assert!(other.stopping().is_cancelled());
    assert!(tasks.part().stopping().is_cancelled(), "a part of what has stopped has stopped");
}

#[tokio::test]
async fn dropping_the_owner_aborts_what_it_owns() {
    let (guard, dropped) = oneshot::channel::<()>();
    let tasks = Tasks::new(&Meters::new());
    let part = tasks.part();
    drop(part.spawn("orphan", async move {
        std::future::pending::<()>().await;
        drop(guard);
    }));
    drop(part);
    tokio::task::yield_now().await;
    assert_eq!(tasks.running().len(), 1, "what a dropped part began is left to the whole");
    drop(tasks);
    assert!(dropped.await.is_err());
}

#[tokio::test]
async fn a_task_spawned_while_stopping_is_awaited_too() {
    let tasks = Tasks::new(&Meters::new());
    let (tell, told) = oneshot::channel();
    let (stopping, inner) = (tasks.stopping(), tasks.part());
    drop(tasks.spawn("outer", async move {
        stopping.cancelled().await;
        drop(inner.spawn("inner", async move {
            tokio::task::yield_now().await;
            tell.send(()).unwrap();
        }));
    }));
    tasks.stop(SECOND).await.unwrap();
    told.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_supervised_task_is_started_again_with_growing_pauses_until_it_ends() {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let began = Instant::now();
    let task = tasks.supervise("flaky", Restart::default(), move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        assert!(run != 1, "the second run panics before it is even a future");
        async move {
            match run {
                0..5 => Err(Error::unavailable("not yet")),
                _ => Ok(()),
            }
        }
    });
    task.await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    assert_eq!(meters.counter("runtime_task_restarts_total", "", &[("task", "flaky")]).get(), 5);
    assert_eq!(meters.counter("runtime_task_panics_total", "", &[("task", "flaky")]).get(), 1);
    // At most 100 + 200 + 400 + 800 + 1,600 ms.
    assert!(began.elapsed() <= Duration::from_millis(3_200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_long_healthy_run_makes_the_next_failure_the_first_again() {
    let tasks = Tasks::new(&Meters::new());
    let restart = Restart { base: SECOND, cap: 3600 * SECOND, healthy_after: 60 * SECOND };
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let began = Instant::now();
    let task = tasks.supervise("steady", restart, move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if run == 30 {
                return Ok(());
            }
            sleep(61 * SECOND).await;
            Err(Error::unavailable("the connection broke"))
        }
    });
    task.await.unwrap();
    // Thirty healthy runs and thirty pauses below one second each. Doubling would have taken days.
    assert!(began.elapsed() < Duration::from_secs(30 * 62), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_restarts_ends_with_the_stop() {
    let tasks = Tasks::new(&Meters::new());
    let restart = Restart { base: 3600 * SECOND, cap: 3600 * SECOND, healthy_after: 60 * SECOND };
    let (tell, told) = oneshot::channel::<()>();
    let mut tell = Some(tell);
    let task = tasks.supervise("hopeless", restart, move || {
        drop(tell.take());
        async { Err(Error::unavailable("never")) }
    });
    let _ = told.await;
    let began = Instant::now();
    tasks.stop(SECOND).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    task.await.unwrap();
}

#[tokio::test]
async fn blocking_closures_are_bounded_and_a_deadline_bounds_the_wait() {
    let meters = Meters::new();
    let tasks = Tasks::with_blocking_limit(&meters, 2);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (tasks, wait) = (tasks.clone(), wait.clone());
            let (begun, began) = oneshot::channel();
            let owner = tasks.clone();
            let task = owner.spawn("hold", async move {
                tasks
                    .blocking("hold", move || {
                        begun.send(()).unwrap();
                        wait.lock().unwrap().recv().unwrap();
                    })
                    .await
            });
            (task, began)
        })
        .collect();
    let mut held = Vec::new();
    for (task, began) in busy {
        began.await.unwrap();
        held.push(task);
    }

    let now = Instant::now().into_std();
    let ctx = Ctx::background().with_deadline(Deadline::after(now, Duration::from_millis(20)));
    let error = tasks.blocking_within(&ctx, "third", || ()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(error.detail().contains("`third` waited for a blocking thread"), "{}", error.detail());
    let error = tasks.blocking_within(&ctx, "fourth", || ()).await.unwrap_err();
    assert!(error.detail().contains("had not begun"), "{}", error.detail());

    // They cannot be interrupted, so a stop names them.
    let error = tasks.stop(Duration::ZERO).await.unwrap_err();
    assert!(error.public().contains("still run: hold (2)"), "{error}");
    release.send(()).unwrap();
    release.send(()).unwrap();
    tasks.stop(SECOND).await.unwrap();
    assert_eq!(meters.gauge("runtime_tasks", "", &[]).get(), 0);
}

#[tokio::test]
async fn a_task_runs_on_its_owners_runtime_wherever_it_is_spawned_from() {
    let tasks = Tasks::new(&Meters::new());
    let here = tokio::runtime::Handle::current().id();
    let from_outside = tasks.clone();
    let task = std::thread::spawn(move || {
        from_outside.spawn("guest", async { tokio::runtime::Handle::current().id() })
    });
    assert_eq!(task.join().unwrap().await.unwrap(), here);
}
