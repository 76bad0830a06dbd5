//! The shared connections: who waits behind whom, what is moved off, and what breaks when one breaks.

use std::time::Duration;

use burgeon_core::{Ctx, Kind};
use burgeon_db::{Fault, sql};
use burgeon_services::{Postgres, Proxy};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::flood::flood;
use super::{Yard, within};

/// Makes a statement known to be fast, so that it goes to the shared connections from now on. Four in a row would do on a
/// quiet machine.
async fn prove(yard: &Yard) {
    for _ in 0..PROOF {
        echo(yard, 0).await.unwrap();
    }
}

const PROOF: usize = 60;

/// So that a busy machine does not make a statement slow that the test wants on the shared connections.
fn patient(config: &mut burgeon_db::Config) {
    config.postgres.slow_statement = Duration::from_secs(4);
}

async fn echo(yard: &Yard, number: i64) -> burgeon_core::Result<i64> {
    sql!("echo", "select cast($1 as bigint)", number).one::<i64>(&yard.db.read(&yard.ctx)).await
}

/// As long as the program says: fast, and then not.
async fn nap(yard: &Yard, seconds: f64) -> burgeon_core::Result<String> {
    nap_for(yard, &yard.ctx, seconds).await
}

/// The same statement for any caller: what is known of one is known by its place in the source.
async fn nap_for(yard: &Yard, ctx: &Ctx, seconds: f64) -> burgeon_core::Result<String> {
    let nap = sql!("nap", "select cast(pg_sleep(cast($1 as double precision)) as text)", seconds);
    nap.one::<String>(&yard.db.read(ctx)).await
}

async fn prove_nap(yard: &Yard) {
    for _ in 0..PROOF {
        nap(yard, 0.0).await.unwrap();
    }
}

/// Statements that take as long as a test says: each runs until the gate is opened. What is answered before that did not
/// wait behind one of them.
struct Held<'a>(&'a Yard);

impl<'a> Held<'a> {
    async fn new(yard: &'a Yard) -> Held<'a> {
        // A lock would be waited for for a moment only, so it looks again and again. Each look sees what has been
        // committed by then.
        yard.psql(
            "create table gate (is_open boolean not null); insert into gate values (true);
             create function hold() returns bigint language plpgsql volatile as $$
             begin
                 perform pg_advisory_xact_lock_shared(1);
                 while not (select is_open from gate) loop perform pg_sleep(0.005); end loop;
                 return pg_backend_pid();
             end $$",
        )
        .await;
        Self(yard)
    }

    async fn shut(&self) {
        self.0.psql("update gate set is_open = false").await;
    }

    async fn open(&self) {
        self.0.psql("update gate set is_open = true").await;
    }

    /// Which connection it ran on, once the gate was open.
    async fn run(&self) -> burgeon_core::Result<i64> {
        sql!("hold_on", "select hold()").one::<i64>(&self.0.db.read(&self.0.ctx)).await
    }

    /// Makes it known to be slow: it meets a lock, is ended by the limit on locks there, and waits elsewhere.
    async fn meets_a_lock(&self) {
        let yard = self.0;
        let (held, holding) = tokio::sync::oneshot::channel();
        let holder = yard.db.tx(&yard.ctx, async |tx| {
            sql!("lock_held", "select cast(pg_advisory_xact_lock(1) as text)").one::<String>(tx).await?;
            held.send(()).unwrap();
            while yard.counted("db_statements_moved_total") == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        });
        let meets = async {
            holding.await.unwrap();
            self.run().await
        };
        let (holder, met) = tokio::join!(holder, meets);
        holder.and(met.map(drop)).unwrap();
    }

    /// Resolves when so many of them run on the server.
    async fn running(&self, count: usize) {
        let running = "select count(*) from pg_stat_activity where datname = current_database() \
                       and state = 'active' and query like '%hold()%' and pid <> pg_backend_pid()";
        let reached = async { while self.0.psql(running).await.trim() != count.to_string() {} };
        timeout(HANG, reached).await.expect("as many run as can");
    }
}

/// How long something may take on any machine before it is called hanging.
const HANG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_statements_of_many_are_under_way_on_a_few_connections_and_each_gets_its_own_answer() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 2;
        config.postgres.max_connections = 1;
    })
    .await;
    prove(&yard).await;
    for _ in 0..20 {
        let answers = join_all((0..200).map(|number| echo(&yard, number))).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), number as i64, "somebody else's answer");
        }
    }
    let connections = "select count(*) from pg_stat_activity where datname = current_database() \
                       and application_name = 'burgeon'";
    assert_eq!(yard.psql(connections).await.trim(), "3");
}

#[tokio::test]
async fn a_place_is_held_until_the_server_answers_also_when_the_caller_has_left() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 1;
        config.postgres.max_connections = 1;
        config.postgres.in_flight = 4;
        config.postgres.waiting = 8;
        config.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    prove_nap(&yard).await;
    prove(&yard).await;
    // The one at the head holds up all places; their callers leave at once.
    let blocker = nap(&yard, 0.5);
    let leavers = async {
        sleep(Duration::from_millis(5)).await;
        let left = (0..4).map(|number| timeout(Duration::from_millis(5), echo(&yard, number)));
        join_all(left).await.into_iter().filter(Result::is_err).count()
    };
    let (blocked, left) = tokio::join!(blocker, leavers);
    blocked.unwrap();
    assert!(left >= 3, "{left}");
    // All four places can be had again, and the answers are those that were asked for.
    let answers = join_all((10..14).map(|number| echo(&yard, number))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [10, 11, 12, 13]);
    assert!(yard.counted("db_shared_abandoned_total") >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_leave_at_any_moment_harm_no_neighbour_and_leave_no_place_taken() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.acquire_timeout = Duration::from_secs(20);
    })
    .await;
    prove(&yard).await;
    let round = |number: i64| {
        let yard = &yard;
        async move {
            // Half leave after so many polls; the other half must not notice.
            if number % 2 == 0 {
                let polls = (number / 2 % 3) as usize;
                if let Some(answer) = super::pool::leave_after(polls, echo(yard, number)).await {
                    assert_eq!(answer.unwrap(), number, "somebody else's answer");
                }
            } else {
                assert_eq!(echo(yard, number).await.unwrap(), number, "somebody else's answer");
            }
        }
    };
    for first in (0..10_000).step_by(100) {
        join_all((first..first + 100).map(round)).await;
    }
    assert!(yard.counted("db_shared_abandoned_total") > 1_000, "hardly anybody left half-way");
    // Empty again, once the last markers are answered: as many as there are places, all at the same time.
    join_all((0..64).map(|number| echo(&yard, number)))
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok()));
    let in_flight = yard.meters.gauge("db_shared_in_flight", "", &[("server", "primary")]);
    let started = Instant::now();
    while in_flight.get() > 0 {
        assert!(started.elapsed() < Duration::from_secs(3), "{} places are still taken", in_flight.get());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_fast_statement_that_turns_slow_is_ended_there_run_elsewhere_and_named() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 1;
        config.postgres.shared_timeout = Duration::from_millis(300);
    })
    .await;
    prove_nap(&yard).await;
    prove(&yard).await;
    let order = std::sync::Mutex::new(Vec::new());
    let slow = async {
        // It gets its answer, from a connection of its own.
        nap(&yard, 1.0).await.unwrap();
        order.lock().unwrap().push("slow");
    };
    let neighbour = async {
        sleep(Duration::from_millis(5)).await;
        assert_eq!(echo(&yard, 7).await.unwrap(), 7);
        order.lock().unwrap().push("neighbour");
    };
    tokio::join!(slow, neighbour);
    // The neighbour waited for the limit, and not for the answer.
    assert_eq!(*order.lock().unwrap(), ["neighbour", "slow"]);
    assert_eq!(yard.counted("db_statements_moved_total"), 1);
}

#[tokio::test]
async fn a_statement_that_no_caller_waits_for_is_found_to_be_slow_all_the_same() {
    let yard = Yard::open_with(|config| {
        config.postgres.shared_connections = 1;
        // A quarter of it, where what is usual is far below: five hundred milliseconds are too many, and a machine's bad
        // moment is not.
        config.postgres.slow_statement = Duration::from_secs(1);
    })
    .await;
    prove_nap(&yard).await;
    let moved = || yard.counted("db_statements_moved_total");
    let leaving = async {
        while moved() == 0 {
            let left = nap_for(&yard, &within(Duration::from_millis(50)), 0.5).await;
            assert_eq!(left.unwrap_err().kind(), Kind::Deadline);
        }
    };
    timeout(HANG, leaving).await.expect("it goes among the others for ever");
    assert_eq!(moved(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_behind_a_statement_that_is_known_to_be_slow() {
    const OWN: usize = 4;
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 2;
        config.postgres.max_connections = OWN;
        // What runs there too long is not ended by the server, and who waits for a connection waits for the test.
        config.postgres.shared_timeout = HANG * 2;
        config.acquire_timeout = HANG * 2;
        config.statement_timeout = HANG * 2;
    })
    .await;
    let held = Held::new(&yard).await;
    for _ in 0..PROOF {
        held.run().await.unwrap();
    }
    prove(&yard).await;
    held.meets_a_lock().await;

    // One in a hundred of sixteen callers' statements, all under way at once: those that have a connection of their
    // own, and those that wait for one. None of them can be answered before the gate opens; everybody else is.
    held.shut().await;
    let slow = join_all((0..32).map(|_| held.run()));
    let fast = async {
        held.running(OWN).await;
        let worker = async |worker: i64| {
            let mut connections = std::collections::BTreeSet::new();
            for turn in 0..200 {
                let asked = sql!("who", "select pg_backend_pid(), cast($1 as bigint)", worker * 200 + turn);
                let (pid, answer): (i64, i64) = asked.one(&yard.db.read(&yard.ctx)).await.unwrap();
                assert_eq!(answer, worker * 200 + turn, "somebody else's answer");
                connections.insert(pid);
            }
            connections
        };
        let answered = timeout(HANG, join_all((0..16).map(worker))).await;
        held.open().await;
        answered.expect("a fast statement waits behind a slow one")
    };
    let (slow, fast) = tokio::join!(slow, fast);
    let slow: std::collections::BTreeSet<_> = slow.into_iter().map(Result::unwrap).collect();
    let fast: std::collections::BTreeSet<_> = fast.into_iter().flatten().collect();
    assert!(slow.is_disjoint(&fast), "slow ones ran on {slow:?}, fast ones on {fast:?}");
    assert_eq!(slow.len(), OWN);
    assert_eq!(yard.counted("db_statements_moved_total"), 1, "none of them had to be ended any more");
}

#[tokio::test]
async fn a_statement_that_meets_a_lock_waits_for_it_where_it_holds_nobody_up() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 1;
    })
    .await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_locked", "create table locked (id bigint primary key, units bigint not null)")
        .execute(&on)
        .await
        .unwrap();
    sql!("put_locked", "insert into locked values (1, 0)").execute(&on).await.unwrap();
    let count =
        async || sql!("count_locked", "update locked set units = units + 1 where id = 1").execute(&on).await;
    for _ in 0..PROOF {
        count().await.unwrap();
    }
    prove(&yard).await;
    let (held, holding) = tokio::sync::oneshot::channel();
    let (let_go, answered) = tokio::sync::oneshot::channel();
    let holder = yard.db.tx(&yard.ctx, async |tx| {
        sql!("hold", "update locked set units = 100 where id = 1").execute(tx).await?;
        held.send(()).unwrap();
        // The lock is held until the other has its answer.
        timeout(HANG, answered).await.expect("a neighbour waits for a lock that is not his").unwrap();
        Ok(())
    });
    let others = async {
        holding.await.unwrap();
        let blocked = async { count().await.unwrap() };
        let fast = async {
            sleep(Duration::from_millis(5)).await;
            echo(&yard, 1).await.unwrap();
            let_go.send(()).unwrap();
        };
        tokio::join!(blocked, fast)
    };
    let (held, _) = tokio::join!(holder, others);
    held.unwrap();
    let units: i64 = sql!("units", "select units from locked").one(&on).await.unwrap();
    assert_eq!(units, 101);
}

#[tokio::test]
async fn nobody_is_cancelled_because_a_neighbour_left() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 1;
        config.postgres.shared_timeout = Duration::from_millis(700);
        // The connection is not given up meanwhile.
        config.statement_timeout = Duration::from_secs(5);
    })
    .await;
    prove_nap(&yard).await;
    prove(&yard).await;
    let leaver = async { nap_for(&yard, &within(Duration::from_millis(50)), 30.0).await.unwrap_err() };
    let neighbours = async {
        sleep(Duration::from_millis(5)).await;
        join_all((0..20).map(|number| echo(&yard, number))).await
    };
    let (left, answers) = tokio::join!(leaver, neighbours);
    assert_eq!(left.kind(), Kind::Deadline);
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), number as i64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_times_too_many_are_refused_in_time_and_the_important_are_served_first() {
    let yard = Yard::open_with(|config| {
        patient(config);
        config.postgres.shared_connections = 1;
        config.postgres.max_connections = 1;
        config.postgres.in_flight = 2;
        config.postgres.waiting = 20;
        config.acquire_timeout = Duration::from_millis(300);
    })
    .await;
    prove_nap(&yard).await;
    // Some 2 ms each: one connection carries 400 a second, and 44 callers want them.
    let (_, others) = flood(40, async |ctx: &Ctx| nap_for(&yard, ctx, 0.002).await).await;
    assert!(others.refused > 50, "nothing was refused, so nothing was shown");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_there_is_called_unknown_and_not_repeated() {
    let server = Postgres::start().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let url = server.create_database().await.unwrap();
    let yard = Yard::at(proxy.url_for(&url), |config| {
        patient(config);
        config.postgres.shared_connections = 1;
    })
    .await;
    let db = &yard.db;
    sql!("make_sent", "create table sent (id bigint)").execute(&db.write(&yard.ctx)).await.unwrap();
    let send = async |ctx: &Ctx| sql!("send", "insert into sent values (1)").execute(&db.write(ctx)).await;
    for _ in 0..PROOF {
        send(&yard.ctx).await.unwrap();
    }
    prove(&yard).await;
    proxy.hold_replies();
    let ctx = within(Duration::from_millis(300));
    let read = sql!("echo", "select cast($1 as bigint)", 1_i64);
    let on = db.read(&ctx);
    let (written, read) = tokio::join!(send(&ctx), read.one::<i64>(&on));
    let (written, read) = (written.unwrap_err(), read.unwrap_err());
    assert!(matches!(Fault::of(&written), Some(Fault::OutcomeUnknown { .. })), "{written:?}");
    assert_eq!(read.kind(), Kind::Deadline, "{read:?}");
    proxy.cut();
    proxy.heal();
    let started = Instant::now();
    while echo(&yard, 1).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(2), "not back after 2 s");
    }
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    assert_eq!(server.psql(name, "select count(*) from sent").await.unwrap().trim(), (PROOF + 1).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_under_load_is_felt_by_no_read() {
    let yard = Yard::open().await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_broad", "create table broad (id bigint)").execute(&on).await.unwrap();
    sql!("put_broad", "insert into broad select generate_series(1, 3)").execute(&on).await.unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let reader = || async {
        let mut reads = 0;
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let rows =
                sql!("read_broad", "select * from broad").all::<Whatever>(&yard.db.read(&yard.ctx)).await;
            assert_eq!(rows.unwrap().len(), 3);
            reads += 1;
        }
        reads
    };
    let migrations = async {
        for number in 0..10 {
            sleep(Duration::from_millis(30)).await;
            yard.psql(&format!("alter table broad add column c{number} bigint")).await;
            yard.psql(&format!("alter table broad alter column c{number} type text")).await;
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (reads, ()) = tokio::join!(join_all((0..16).map(|_| reader())), migrations);
    assert!(reads.iter().sum::<u64>() > 100);
}

/// Whatever the table has become.
#[derive(burgeon_db::Row)]
struct Whatever {}
