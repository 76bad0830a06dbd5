//! A thousand lives, each with other services, faults and moments: none hangs, none leaves anything behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::{Error, Result};
use burgeon_meter::Meters;
use burgeon_runtime::{Config, Life, Lifecycle, Service, Tasks};
use tokio::time::{Instant, sleep, timeout};

const ROUNDS: u64 = 1_000;
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A small generator, so that a round can be run again from its number (Steele et al., SplitMix64, 2014).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// Often none, mostly short, now and then beyond every timeout.
    fn pause(&mut self) -> Duration {
        match self.throw(10) {
            0..3 => Duration::ZERO,
            3..9 => Duration::from_millis(self.throw(5_000)),
            _ => Duration::from_secs(30 + self.throw(60)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    FailsToStart,
    PanicsAtStart,
    ReturnsAtStart,
    NeverReady,
    DropsItsLife,
    Dies,
    PanicsLater,
    IgnoresTheDrain,
    FailsToStop,
    LeavesATask,
}

const FAULTS: [Fault; 10] = [
    Fault::FailsToStart,
    Fault::PanicsAtStart,
    Fault::ReturnsAtStart,
    Fault::NeverReady,
    Fault::DropsItsLife,
    Fault::Dies,
    Fault::PanicsLater,
    Fault::IgnoresTheDrain,
    Fault::FailsToStop,
    Fault::LeavesATask,
];

#[derive(Debug, Clone, Copy)]
struct Plan {
    name: &'static str,
    after: Option<&'static str>,
    fault: Fault,
    start: Duration,
    life: Duration,
    stop: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Started,
    Ready,
    Drains,
    Gone,
}

type Book = Arc<Mutex<Vec<(What, &'static str)>>>;

/// Writes down that a service's future is gone, however it went.
struct Gone(Book, &'static str);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().unwrap().push((What::Gone, self.1));
    }
}

async fn live(plan: Plan, life: Life, book: Book) -> Result<()> {
    let write = |what| book.lock().unwrap().push((what, plan.name));
    write(What::Started);
    let _gone = Gone(book.clone(), plan.name);
    sleep(plan.start).await;
    match plan.fault {
        Fault::FailsToStart => return Err(Error::unavailable("on purpose")),
        Fault::PanicsAtStart => std::panic::resume_unwind(Box::new("on purpose")),
        Fault::ReturnsAtStart => return Ok(()),
        Fault::NeverReady => {
            life.draining().await;
            return Ok(());
        }
        Fault::DropsItsLife => {
            drop(life);
            return std::future::pending().await;
        }
        _ => {}
    }
    write(What::Ready);
    life.ready();
    let dies = matches!(plan.fault, Fault::Dies | Fault::PanicsLater);
    tokio::select! {
        () = sleep(plan.life), if dies => match plan.fault {
            Fault::Dies => return Ok(()),
            _ => std::panic::resume_unwind(Box::new("on purpose")),
        },
        () = life.draining() => {}
    }
    write(What::Drains);
    match plan.fault {
        Fault::IgnoresTheDrain => std::future::pending().await,
        Fault::FailsToStop => return Err(Error::unavailable("on purpose")),
        Fault::LeavesATask => drop(life.tasks().spawn("left", std::future::pending::<()>())),
        _ => {}
    }
    sleep(plan.stop).await;
    Ok(())
}

fn plans(dice: &mut Dice) -> Vec<Plan> {
    let count = 1 + dice.throw(NAMES.len() as u64) as usize;
    (0..count)
        .map(|index| Plan {
            name: NAMES[index],
            // Only to earlier names, so that there is an order; which is not always the declared one.
            after: (index > 0 && dice.throw(2) == 0).then(|| NAMES[dice.throw(index as u64) as usize]),
            fault: if dice.throw(6) == 0 { FAULTS[dice.throw(10) as usize] } else { Fault::None },
            start: dice.pause(),
            life: dice.pause(),
            stop: dice.pause(),
        })
        .collect()
}

fn lifecycle(dice: &mut Dice, plans: &[Plan], book: &Book) -> (Lifecycle, Meters) {
    let meters = Meters::new();
    let mut lifecycle = Lifecycle::new(Config::default(), &meters);
    let mut left: Vec<_> = plans.to_vec();
    while !left.is_empty() {
        let plan = left.swap_remove(dice.throw(left.len() as u64) as usize);
        let book = book.clone();
        lifecycle =
            lifecycle.service(Service::new(plan.name, move |life| live(plan, life, book)).after(plan.after));
    }
    (lifecycle, meters)
}

fn nothing_is_left(tasks: &Tasks, meters: &Meters, book: &Book, round: u64) {
    assert!(tasks.running().is_empty(), "round {round}: {:?}", tasks.running());
    assert_eq!(meters.gauge("runtime_tasks", "", &[]).get(), 0, "round {round}");
    let book = book.lock().unwrap();
    let count = |wanted| book.iter().filter(|(what, _)| *what == wanted).count();
    assert_eq!(count(What::Started), count(What::Gone), "round {round}: {book:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lives_end_in_order_and_leave_nothing_behind() {
    let (mut clean, mut failed) = (0, 0);
    for round in 0..ROUNDS {
        let mut dice = Dice(round);
        let plans = plans(&mut dice);
        let book = Book::default();
        let (lifecycle, meters) = lifecycle(&mut dice, &plans, &book);
        let (health, tasks) = (lifecycle.health(), lifecycle.tasks());
        let until = dice.pause() + dice.pause();
        let began = Instant::now();

        // Each service has 60 s to start; all have 30 s to stop, and 2 s each at the end; aborts take a moment.
        let bound = until.min(Duration::from_secs(180)) + Duration::from_secs(60 * 6 + 30 + 4 * 6 + 4);
        let ended = timeout(bound, lifecycle.run(sleep(until))).await;
        let ended = ended.unwrap_or_else(|_| Err(Error::deadline("it hung")));
        let detail = ended.as_ref().err().map(Error::detail).unwrap_or_default();
        assert!(!detail.contains("it hung"), "round {round}: hung after {:?}: {plans:?}", began.elapsed());

        nothing_is_left(&tasks, &meters, &book, round);
        let report = health.report().await;
        assert!(!report.live && !report.ready, "round {round}");
        in_order(&plans, &book.lock().unwrap(), round);
        match &ended {
            Ok(()) => clean += 1,
            Err(_) => {
                failed += 1;
                let blamed = plans.iter().find(|plan| detail.contains(&format!("`{}`", plan.name)));
                let blamed = blamed.unwrap_or_else(|| &plans[0]);
                // Slow is as bad as wrong, when it is slower than its time.
                let slow = [blamed.start, blamed.stop].iter().any(|pause| *pause > Duration::ZERO);
                assert!(blamed.fault != Fault::None || slow, "round {round}: {detail}: {plans:?}");
                assert!(detail.contains(&format!("`{}`", blamed.name)), "round {round}: {detail}");
            }
        }
        let bad = |plan: &&Plan| {
            let started = book.lock().unwrap().contains(&(What::Started, plan.name));
            started && matches!(plan.fault, Fault::FailsToStop | Fault::IgnoresTheDrain | Fault::LeavesATask)
        };
        let drained_badly = plans
            .iter()
            .find(bad)
            .is_some_and(|plan| book.lock().unwrap().contains(&(What::Drains, plan.name)));
        assert!(!(ended.is_ok() && drained_badly), "round {round}: a bad stop went unsaid: {plans:?}");
    }
    // The dice are fair enough that both sorts of life occur often.
    assert!(clean > 100 && failed > 100, "{clean} clean, {failed} failed");
}

/// Nothing starts before what it needs is ready, and nothing is asked to drain before all that started later is gone.
fn in_order(plans: &[Plan], book: &[(What, &'static str)], round: u64) {
    let at = |what, name| book.iter().position(|entry| *entry == (what, name));
    for plan in plans {
        let Some(started) = at(What::Started, plan.name) else { continue };
        if let Some(needed) = plan.after {
            let ready = at(What::Ready, needed);
            assert!(ready.is_some_and(|ready| ready < started), "round {round}: {plan:?}: {book:?}");
        }
        let Some(drains) = at(What::Drains, plan.name) else { continue };
        for later in plans.iter().filter(|later| at(What::Started, later.name) > Some(started)) {
            let gone = at(What::Gone, later.name);
            assert!(gone.is_some_and(|gone| gone < drains), "round {round}: {plan:?} {later:?}: {book:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_given_up_in_the_middle_leaves_nothing_behind() {
    for round in 0..ROUNDS {
        let mut dice = Dice(!round);
        let plans = plans(&mut dice);
        let book = Book::default();
        let (lifecycle, meters) = lifecycle(&mut dice, &plans, &book);
        let tasks = lifecycle.tasks();
        let given_up = dice.pause() + dice.pause();
        let until = dice.pause() + dice.pause();
        if timeout(given_up, lifecycle.run(sleep(until))).await.is_err() {
            // Aborted means: gone at its next turn.
            tasks.stop(Duration::from_secs(1)).await.unwrap();
        }
        nothing_is_left(&tasks, &meters, &book, round);
    }
}

#[test]
fn an_owner_is_stopped_while_many_threads_spawn() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..200 {
            let meters = Meters::new();
            let tasks = Tasks::new(&meters);
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let tasks = tasks.clone();
                    std::thread::spawn(move || {
                        // Spawns until the owner refuses.
                        let mut begun = 0_u32;
                        while tasks.running().is_empty() || !tasks.stopping().is_cancelled() {
                            let (part, stopping) = (tasks.part(), tasks.stopping());
                            drop(part.spawn("wide", async move { stopping.cancelled().await }));
                            drop(tasks.spawn("short", async {}));
                            begun += 2;
                            if begun > 2_000 {
                                break;
                            }
                        }
                        begun
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            tasks.stop(Duration::from_secs(20)).await.unwrap();
            let begun: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert!(begun > 0);
            // What was spawned after the end was refused.
            assert!(tasks.running().is_empty(), "{:?}", tasks.running());
            assert_eq!(meters.gauge("runtime_tasks", "", &[]).get(), 0);
        }
    });
}
