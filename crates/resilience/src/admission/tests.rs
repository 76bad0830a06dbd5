//! Admission by its promises, and against a plain count under everything that can happen in any order.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use burgeon_core::Criticality::{self, Critical, CriticalPlus, Sheddable, SheddablePlus};
use proptest::prelude::*;

use super::{Admission, Cohort, Config, Entry, Level, Permit, Priority, Waiting};
use crate::line::CoDel;
use crate::{Instant, Outcome, Refused, Why, limit, line};

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

fn of(class: Criticality) -> Priority {
    Priority::new(class, Cohort::default())
}

fn of_limit(limit: u32) -> Admission {
    Admission::new(Config { limit: limit::Config::fixed(limit), ..Config::default() })
}

fn admitted(entry: Result<Entry, Refused>) -> Permit {
    match entry {
        Ok(Entry::Admitted(permit)) => permit,
        other => panic!("expected a permit, not {other:?}"),
    }
}

fn waiting(entry: Result<Entry, Refused>) -> Waiting {
    match entry {
        Ok(Entry::Waiting(waiting)) => waiting,
        other => panic!("expected to wait, not {other:?}"),
    }
}

fn why(entry: Result<Entry, Refused>) -> Why {
    entry.map(drop).expect_err("expected a refusal").why
}

/// Counts how often it is called.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiting: &mut Waiting) -> Option<Result<Permit, Refused>> {
    match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[test]
fn who_gives_back_calls_the_next() {
    let admission = of_limit(1);
    let first = admitted(admission.admit(at(0), of(Critical), None));
    let mut second = waiting(admission.admit(at(1), of(Critical), None));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    assert!(Pin::new(&mut second).poll(&mut Context::from_waker(&waker)).is_pending());

    first.settle(at(5), Outcome::Ok);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    let second = poll(&mut second).expect("it was called").expect("and let in");
    assert_eq!(admission.view(at(5)).limit.in_flight, 1);
    drop(second);
    assert_eq!(admission.view(at(5)).limit.in_flight, 0);
}

#[test]
fn nobody_is_let_in_past_those_who_wait() {
    let admission = of_limit(2);
    let _first = admitted(admission.admit(at(0), of(Critical), None));
    let second = admitted(admission.admit(at(0), of(Critical), None));
    let mut third = waiting(admission.admit(at(1), of(Critical), None));
    let mut fourth = waiting(admission.admit(at(1), of(CriticalPlus), None));
    drop(second);
    assert!(poll(&mut third).is_none());
    assert!(poll(&mut fourth).is_some_and(|answer| answer.is_ok()), "greater, though later");
}

#[test]
fn what_is_past_its_deadline_is_refused_when_it_comes_and_when_its_turn_comes() {
    let admission = of_limit(1);
    assert_eq!(why(admission.admit(at(5), of(Critical), Some(at(5)))), Why::Deadline);
    let first = admitted(admission.admit(at(5), of(Critical), None));
    let mut second = waiting(admission.admit(at(5), of(Critical), Some(at(10))));
    assert_eq!(second.until(), at(10));
    first.settle(at(10), Outcome::Ok);
    assert!(poll(&mut second).is_some_and(|answer| answer.is_err()));
}

#[test]
fn who_leaves_the_line_is_passed_over_and_who_leaves_with_his_permit_passes_it_on() {
    let admission = of_limit(1);
    let first = admitted(admission.admit(at(0), of(Critical), None));
    let second = waiting(admission.admit(at(1), of(Critical), None));
    let third = waiting(admission.admit(at(1), of(Critical), None));
    let mut fourth = waiting(admission.admit(at(1), of(Critical), None));
    drop(second);
    first.settle(at(5), Outcome::Ok);
    assert!(poll(&mut fourth).is_none(), "it is the third's turn");
    // Called, and gone before he heard it.
    drop(third);
    assert!(poll(&mut fourth).is_some_and(|answer| answer.is_ok()));
}

#[test]
fn who_gives_up_in_the_moment_he_is_called_is_let_in() {
    let admission = of_limit(1);
    let first = admitted(admission.admit(at(0), of(Critical), None));
    let second = waiting(admission.admit(at(0), of(Critical), Some(at(50))));
    let third = waiting(admission.admit(at(0), of(Critical), Some(at(50))));
    first.settle(at(49), Outcome::Ok);
    let _second = second.give_up(at(50)).expect("called just before");
    let refused = third.give_up(at(50)).expect_err("his turn never came");
    assert_eq!(refused.why, Why::Deadline);
    assert_eq!(admission.view(at(50)).line.waiting, 0);
}

#[test]
fn when_everybody_hangs_the_wait_still_ends() {
    let admission = of_limit(1);
    let _hangs = admitted(admission.admit(at(0), of(Critical), None));
    let second = waiting(admission.admit(at(0), of(Critical), None));
    assert_eq!(second.until(), at(100), "CoDel's interval, without a deadline");
    let refused = second.give_up(at(100)).expect_err("nobody left");
    assert_eq!((refused.why, refused.after), (Why::ShedQueue, Some(Duration::from_secs(1))));
}

#[test]
fn a_greater_arrival_takes_the_place_of_the_least_in_a_full_line() {
    let config = Config {
        limit: limit::Config::fixed(1),
        line: line::Config { capacity: 1, ..line::Config::default() },
        ..Config::default()
    };
    let admission = Admission::new(config);
    let _first = admitted(admission.admit(at(0), of(Critical), None));
    let mut least = waiting(admission.admit(at(0), of(Sheddable), None));
    let _greater = waiting(admission.admit(at(0), of(Critical), None));
    assert_eq!(poll(&mut least).expect("told at once").map(drop).unwrap_err().why, Why::ShedQueue);
    assert_eq!(why(admission.admit(at(0), of(Critical), None)), Why::ShedQueue);
}

#[test]
fn a_long_queue_refuses_the_least_before_they_queue() {
    let admission = of_limit(1);
    let _first = admitted(admission.admit(at(0), of(Critical), None));
    let _second = waiting(admission.admit(at(0), of(Critical), None));
    let _third = waiting(admission.admit(at(0), of(Critical), None));
    // At twice the limit nobody is refused yet, at three times everybody.
    let _fourth = waiting(admission.admit(at(0), of(Sheddable), None));
    assert_eq!(why(admission.admit(at(0), of(CriticalPlus), None)), Why::ShedClass);
}

#[test]
fn at_the_level_shed_a_sheddable_class_keeps_one_place_in_the_line() {
    let admission = of_limit(1);
    admission.pin(Some(Level::Shed));
    let free = admitted(admission.admit(at(0), of(Sheddable), None));
    let _one = waiting(admission.admit(at(0), of(Sheddable), None));
    assert_eq!(why(admission.admit(at(0), of(Sheddable), None)), Why::ShedClass);
    let _other = waiting(admission.admit(at(0), of(SheddablePlus), None));
    drop(free);
    assert_eq!(admission.view(at(0)).level, Level::Shed);
    assert!(admission.view(at(0)).pinned);
}

#[test]
fn what_the_level_refuses_does_not_hold_it_up() {
    let admission = of_limit(1);
    let mut now = 0;
    // Real sheds make it bad.
    while admission.level(at(now)) != Level::Shed {
        let hangs = admitted(admission.admit(at(now), of(Critical), None));
        let late: Vec<Waiting> =
            (0..3).map(|_| waiting(admission.admit(at(now), of(Critical), None))).collect();
        for waiting in late {
            assert!(waiting.give_up(at(now + 100)).is_err());
        }
        drop(hangs);
        now += 100;
        assert!(now < 60_000, "it never got bad");
    }
    // From now on nothing is shed but what the level sheds, and that is a lot.
    let mut refused = 0;
    while admission.level(at(now)) == Level::Shed {
        let hangs = admitted(admission.admit(at(now), of(Critical), None));
        let kept = waiting(admission.admit(at(now), of(Sheddable), None));
        refused += (0..9).filter(|_| admission.admit(at(now), of(Sheddable), None).is_err()).count();
        drop(kept);
        drop(hangs);
        now += 100;
        assert!(now < 120_000, "it held itself up");
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn a_used_up_processor_trims_the_sheddable_only() {
    let admission = of_limit(10);
    for tick in 0..100 {
        admission.observe_cpu(at(tick * 100), 1.0);
    }
    let now = at(10_000);
    let refused = (0..20).filter(|_| admission.admit(now, of(Sheddable), None).is_err()).count();
    assert_eq!(refused, 19, "one of twenty is spared");
    let _critical = admitted(admission.admit(now, of(Critical), None));
    assert!(admission.view(now).cpu > 0.99);
}

/// Everything that can be done with it.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Admit { class: usize, budget: Option<u64> },
    Settle(usize, bool),
    Poll(usize),
    GiveUp(usize),
    Leave(usize),
    Cpu(f64),
    Pin(Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..30_000u64).prop_map(Step::Pass),
        8 => (0..4usize, proptest::option::of(0..200_000u64))
            .prop_map(|(class, budget)| Step::Admit { class, budget }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, settled)| Step::Settle(which, settled)),
        4 => any::<usize>().prop_map(Step::Poll),
        1 => any::<usize>().prop_map(Step::GiveUp),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (0.0..1.2f64).prop_map(Step::Cpu),
        1 => proptest::option::of(0..4usize).prop_map(Step::Pin),
    ]
}

proptest! {
    #[test]
    fn permits_are_conserved_and_nobody_waits_while_there_is_room(
        steps in proptest::collection::vec(step(), 1..300),
        capacity in 1..20usize,
        codel in any::<bool>(),
        lifo in any::<bool>(),
    ) {
        let codel = codel.then(|| CoDel { lifo, ..CoDel::default() });
        let admission = Admission::new(Config {
            limit: limit::Config { initial: 3, min: 1, max: 8, ..limit::Config::default() },
            line: line::Config { capacity, codel, ..line::Config::default() },
            ..Config::default()
        });
        let mut now = 1_000_000;
        let mut permits: Vec<Permit> = Vec::new();
        let mut waits: Vec<Waiting> = Vec::new();
        for step in steps {
            let instant = Instant::from_micros(now);
            match step {
                Step::Pass(micros) => now += micros,
                Step::Admit { class, budget } => {
                    let priority = of(Criticality::ALL[class]);
                    let before = admission.view(instant);
                    match admission.admit(instant, priority, budget.map(|budget| instant.plus_micros(budget))) {
                        Ok(Entry::Admitted(permit)) => {
                            prop_assert_eq!(before.line.waiting, 0, "let in past those who wait");
                            permits.push(permit);
                        }
                        Ok(Entry::Waiting(waiting)) => waits.push(waiting),
                        Err(_) => {}
                    }
                }
                Step::Settle(which, settled) if !permits.is_empty() => {
                    let permit = permits.swap_remove(which % permits.len());
                    if settled { permit.settle(instant, Outcome::Ok) } else { drop(permit) }
                }
                Step::Poll(which) if !waits.is_empty() => {
                    let which = which % waits.len();
                    if let Some(answer) = poll(&mut waits[which]) {
                        drop(waits.swap_remove(which));
                        permits.extend(answer);
                    }
                }
                Step::GiveUp(which) if !waits.is_empty() => {
                    let which = which % waits.len();
                    permits.extend(waits.swap_remove(which).give_up(instant));
                }
                Step::Leave(which) if !waits.is_empty() => drop(waits.swap_remove(which % waits.len())),
                Step::Cpu(used) => admission.observe_cpu(instant, used),
                Step::Pin(level) => admission.pin(level.map(|level| Level::ALL[level])),
                Step::Settle(..) | Step::Poll(_) | Step::GiveUp(_) | Step::Leave(_) => {}
            }
            let view = admission.view(Instant::from_micros(now));
            // Some of those who wait may hold a permit that they have not picked up.
            let in_flight = view.limit.in_flight as usize;
            prop_assert!((permits.len()..=permits.len() + waits.len()).contains(&in_flight));
            prop_assert!(view.line.waiting <= waits.len().min(capacity));
            let room = view.limit.in_flight < view.limit.limit;
            prop_assert!(view.line.waiting == 0 || !room, "somebody waits though there is room: {view:?}");
        }
        // Everybody hears something once all have left.
        permits.clear();
        let later = Instant::from_micros(now + 1_000_000);
        for waiting in waits {
            drop(waiting.give_up(later));
        }
        let view = admission.view(later);
        prop_assert_eq!((view.limit.in_flight, view.line.waiting), (0, 0));
    }
}
