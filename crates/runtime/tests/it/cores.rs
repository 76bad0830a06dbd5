//! One runtime per core: tasks stay on it, are awaited, and end with it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use burgeon_meter::Meters;
use burgeon_runtime::{Cores, Tasks};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn futures_that_cannot_leave_their_thread_run_on_named_threads() {
    let tasks = Tasks::new(&Meters::new());
    let cores = Cores::start("edge", 3, &tasks).await.unwrap();
    for index in 0..6 {
        let on = cores.run_on(index, |core| async move {
            // Neither this nor the core is `Send`.
            let count = Rc::new(Cell::new(0));
            let (tell, told) = oneshot::channel();
            let (inner, shared) = (core.clone(), count.clone());
            core.spawn(async move {
                tokio::task::yield_now().await;
                shared.set(shared.get() + 1);
                inner.spawn(async move { tell.send(()).unwrap() });
            });
            told.await.unwrap();
            (std::thread::current().name().map(str::to_owned), core.index(), count.get())
        });
        let (thread, core, count) = on.await.unwrap();
        assert_eq!((thread, core, count), (Some(format!("edge-{}", index % 3)), index % 3, 1));
    }
    cores.stop(LONG).await.unwrap();
    cores.stop(LONG).await.unwrap();
    tasks.stop(LONG).await.unwrap();
    assert!(cores.run_on(0, |_| async {}).await.is_err(), "nothing runs on a core that has ended");
}

#[tokio::test]
async fn a_stop_awaits_the_tasks_that_listen_and_drops_those_that_do_not() {
    let tasks = Tasks::new(&Meters::new());
    let cores = Cores::start("edge", 2, &tasks).await.unwrap();
    let ended = Arc::new(AtomicU32::new(0));
    let mut dropped = Vec::new();
    for index in 0..20 {
        let ended = ended.clone();
        let (guard, is_dropped) = oneshot::channel::<()>();
        dropped.push(is_dropped);
        cores
            .run_on(index, move |core| async move {
                let stopping = core.stopping();
                core.spawn(async move {
                    stopping.cancelled().await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                });
                core.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(guard);
                });
            })
            .await
            .unwrap();
    }
    let error = cores.stop(Duration::from_millis(500)).await.unwrap_err();
    assert!(error.public().contains("edge-0 dropped 10 tasks, edge-1 dropped 10 tasks"), "{error}");
    assert_eq!(ended.load(Ordering::SeqCst), 20);
    for is_dropped in dropped {
        assert!(is_dropped.await.is_err());
    }
    tasks.stop(LONG).await.unwrap();
}

#[tokio::test]
async fn the_owner_stops_its_cores() {
    let tasks = Tasks::new(&Meters::new());
    let cores = Cores::start("edge", 2, &tasks).await.unwrap();
    let (tell, told) = oneshot::channel();
    drop(cores.run_on(0, |core| async move {
        core.stopping().cancelled().await;
        tell.send(()).unwrap();
    }));
    drop(cores);
    tasks.stop(LONG).await.unwrap();
    told.await.unwrap();

    let tasks = Tasks::new(&Meters::new());
    let cores = Cores::start("edge", 2, &tasks).await.unwrap();
    let (guard, dropped) = oneshot::channel::<()>();
    let on = cores.run_on(1, |_| async move {
        std::future::pending::<()>().await;
        drop(guard);
    });
    let error = tasks.stop(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.public().contains("cores edge"), "{error}");
    assert!(dropped.await.is_err());
    assert!(on.await.is_err());
}

#[tokio::test]
async fn a_panic_on_a_core_ends_its_task_alone_and_is_counted() {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let cores = Cores::start("edge", 1, &tasks).await.unwrap();
    let failed = cores.run_on(0, |_| async { panic!("on a core") });
    assert!(failed.await.is_err());
    assert_eq!(cores.run_on(0, |core| async move { core.alive() }).await.unwrap(), 1);
    assert_eq!(meters.counter("runtime_task_panics_total", "", &[("task", "edge-0")]).get(), 1);
    cores.stop(LONG).await.unwrap();
    tasks.stop(LONG).await.unwrap();
}

#[tokio::test]
async fn a_core_that_is_blocked_by_a_task_is_named_and_not_waited_for() {
    let tasks = Tasks::new(&Meters::new());
    let cores = Cores::start("edge", 1, &tasks).await.unwrap();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (tell, told) = oneshot::channel();
    let on = cores.run_on(0, move |_| async move {
        tell.send(()).unwrap();
        wait.recv().unwrap();
    });
    told.await.unwrap();
    let error = cores.stop(Duration::from_millis(10)).await.unwrap_err();
    assert!(error.public().contains("edge-0 is blocked by a task and still runs"), "{error}");
    release.send(()).unwrap();
    on.await.unwrap();
    tasks.stop(LONG).await.unwrap();
    cores.stop(LONG).await.unwrap();
}
