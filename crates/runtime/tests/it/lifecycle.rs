//! Start in order, be ready, drain, stop in reverse; a failure names its service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::Error;
use burgeon_meter::Meters;
use burgeon_runtime::{Config, Life, Lifecycle, Service, State};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<String>>>);

impl Book {
    fn write(&self, what: &str, who: &str) {
        self.0.lock().unwrap().push(format!("{what} {who}"));
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A service as it should be.
fn good(name: &'static str, book: &Book) -> Service {
    let book = book.clone();
    Service::new(name, async move |life: Life| {
        book.write("start", name);
        sleep(SECOND).await;
        life.ready();
        life.draining().await;
        book.write("drain", name);
        sleep(SECOND).await;
        book.write("stop", name);
        Ok(())
    })
}

fn lifecycle() -> Lifecycle {
    Lifecycle::new(Config::default(), &Meters::new())
}

#[tokio::test(start_paused = true)]
async fn services_start_after_what_they_need_and_stop_before_it() {
    let book = Book::default();
    let lifecycle = lifecycle()
        .service(good("http", &book).after(["database"]))
        .service(good("database", &book))
        .service(good("clock", &book));
    let health = lifecycle.health();
    let seen = health.clone();
    lifecycle
        .run(async move {
            while !seen.report().await.ready {
                sleep(Duration::from_millis(100)).await;
            }
        })
        .await
        .unwrap();
    assert_eq!(
        book.read(),
        [
            "start database",
            "start http",
            "start clock",
            "drain clock",
            "stop clock",
            "drain http",
            "stop http",
            "drain database",
            "stop database",
        ]
    );
    let report = health.report().await;
    assert!(report.started && !report.live && !report.ready);
    assert!(report.parts.iter().all(|part| part.state == State::Stopped), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_readiness_is_told_once_it_is_true_and_never_of_a_failed_start() {
    let (tell, told) = oneshot::channel();
    let lifecycle = lifecycle().service(good("http", &Book::default()));
    let health = lifecycle.health();
    lifecycle
        .when_ready(move || _ = tell.send(()))
        .run(async move {
            told.await.unwrap();
            assert!(health.report().await.ready);
        })
        .await
        .unwrap();

    let (tell, told) = oneshot::channel::<()>();
    let broken = Service::new("broken", async |_| Err(Error::unavailable("No disk.")));
    let lifecycle = self::lifecycle().service(broken).when_ready(move || _ = tell.send(()));
    lifecycle.run(std::future::pending()).await.unwrap_err();
    assert!(told.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_process_is_unready_before_anything_begins_to_drain() {
    let config = Config { drain_delay: 5 * SECOND, ..Config::default() };
    let lifecycle = Lifecycle::new(config, &Meters::new());
    let health = lifecycle.health();
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let watch = health.clone();
    let lifecycle = lifecycle.service(Service::new("http", async move |life: Life| {
        life.ready();
        let asked = stopped.await;
        assert!(asked.is_ok() && !life.is_draining(), "still serving");
        let asked = Instant::now();
        life.draining().await;
        tell.send((watch.report().await.ready, asked.elapsed())).unwrap();
        Ok(())
    }));
    lifecycle
        .run(async move {
            sleep(SECOND).await;
            assert!(health.report().await.ready);
            stop.send(()).unwrap();
        })
        .await
        .unwrap();
    let (ready, delay) = told.await.unwrap();
    assert!(!ready && delay == 5 * SECOND, "{ready} {delay:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_start_is_never_ready_and_is_named_with_its_reason() {
    type Birth = fn() -> Service;
    let births: [(Birth, &str); 5] = [
        (
            || Service::new("bad", async |_: Life| Err(Error::unavailable("port 80 is taken"))),
            "port 80 is taken",
        ),
        (|| Service::new("bad", async |_: Life| Ok(())), "it returned although nobody"),
        (|| Service::new("bad", async |_: Life| panic!("a defect")), "panicked: a defect"),
        (
            || {
                Service::new("bad", async |life: Life| {
                    drop(life);
                    std::future::pending().await
                })
            },
            "without saying",
        ),
        (
            || {
                Service::new("bad", async |life: Life| {
                    life.draining().await;
                    Ok(())
                })
            },
            "within 1m",
        ),
    ];
    for (birth, why) in births {
        let book = Book::default();
        let lifecycle =
            lifecycle().service(good("first", &book)).service(birth()).service(good("last", &book));
        let health = lifecycle.health();
        let error = lifecycle.run(std::future::pending()).await.unwrap_err();
        let detail = error.detail();
        assert!(detail.contains("`bad` failed to start") && detail.contains(why), "{detail}");
        assert_eq!(book.read(), ["start first", "drain first", "stop first"], "{why}");
        assert!(!health.report().await.started);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_later_takes_the_process_down_in_order() {
    type End = fn() -> burgeon_core::Result<()>;
    let ends: [(End, &str); 3] = [
        (|| Ok(()), "it returned although nobody had asked it to stop"),
        (|| Err(Error::unavailable("the disk is full")), "the disk is full"),
        (|| panic!("a defect"), "panicked: a defect"),
    ];
    for (end, why) in ends {
        let book = Book::default();
        let mortal = Service::new("mortal", async move |life: Life| {
            life.ready();
            sleep(10 * SECOND).await;
            end()
        });
        let lifecycle =
            lifecycle().service(good("first", &book)).service(mortal).service(good("last", &book));
        let health = lifecycle.health();
        let error = lifecycle.run(std::future::pending()).await.unwrap_err();
        let detail = error.detail();
        assert!(detail.contains("`mortal` died") && detail.contains(why), "{detail}");
        assert_eq!(
            book.read(),
            ["start first", "start last", "drain last", "stop last", "drain first", "stop first"]
        );
        let report = health.report().await;
        assert_eq!(report.parts[1].state, State::Failed, "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_drain_is_aborted_and_the_rest_still_gets_time() {
    let book = Book::default();
    let deaf = Service::new("deaf", async |life: Life| {
        life.ready();
        std::future::pending().await
    });
    let lifecycle = lifecycle().service(good("database", &book)).service(deaf);
    let began = Instant::now();
    let error = lifecycle.run(sleep(10 * SECOND)).await.unwrap_err();
    assert!(error.detail().contains("`deaf` did not stop in time"), "{}", error.detail());
    assert_eq!(book.read(), ["start database", "drain database", "stop database"]);
    assert_eq!(began.elapsed(), (10 + 30 + 1) * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_service_stop_after_it_and_are_named_if_they_do_not() {
    let book = Book::default();
    let written = book.clone();
    let service = Service::new("jobs", async move |life: Life| {
        let (stopping, book) = (life.tasks().stopping(), written.clone());
        drop(life.tasks().spawn("writer", async move {
            stopping.cancelled().await;
            book.write("stop", "writer");
        }));
        drop(life.tasks().spawn("deaf", std::future::pending::<()>()));
        life.ready();
        life.draining().await;
        assert!(life.drain_deadline().unwrap() == Instant::now() + 30 * SECOND);
        sleep(SECOND).await;
        written.write("stop", "jobs");
        Ok(())
    });
    let error = lifecycle().service(service).run(sleep(SECOND)).await.unwrap_err();
    assert_eq!(book.read(), ["stop jobs", "stop writer"]);
    assert!(error.detail().contains("`jobs` left tasks behind") && error.detail().contains("aborted: deaf"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_the_start_does_not_wait_for_what_hangs() {
    let book = Book::default();
    let hanging = Service::new("hanging", async |_life: Life| {
        sleep(3600 * SECOND).await;
        Ok(())
    });
    let began = Instant::now();
    let lifecycle = lifecycle().service(good("first", &book)).service(hanging).service(good("never", &book));
    let error = lifecycle.run(sleep(10 * SECOND)).await.unwrap_err();
    assert!(error.detail().contains("`hanging` did not stop in time"), "{}", error.detail());
    assert_eq!(book.read(), ["start first", "drain first", "stop first"]);
    assert!(began.elapsed() < 14 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn tasks_without_a_service_are_stopped_last() {
    let book = Book::default();
    let lifecycle = lifecycle().service(good("http", &book));
    let (stopping, written) = (lifecycle.tasks().stopping(), book.clone());
    drop(lifecycle.tasks().spawn("pool", async move {
        stopping.cancelled().await;
        written.write("stop", "pool");
    }));
    lifecycle.run(sleep(10 * SECOND)).await.unwrap();
    assert_eq!(book.read(), ["start http", "drain http", "stop http", "stop pool"]);
}

#[tokio::test]
#[should_panic(expected = "services wait for each other: `a` after `b` after `a`")]
async fn services_that_wait_for_each_other_are_refused_before_anything_starts() {
    let book = Book::default();
    let lifecycle = lifecycle().service(good("a", &book).after(["b"])).service(good("b", &book).after(["a"]));
    // Not even awaited.
    drop(lifecycle.run(std::future::pending()));
}

#[tokio::test(start_paused = true)]
async fn a_process_without_services_runs_until_it_is_asked() {
    let began = Instant::now();
    lifecycle().run(sleep(SECOND)).await.unwrap();
    assert_eq!(began.elapsed(), SECOND);
}
