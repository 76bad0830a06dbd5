//! Admission: nobody who waits is forgotten, whoever comes, leaves or gives up at the same time.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use burgeon_core::Criticality;
use burgeon_resilience::admission::{Admission, Cohort, Config, Entry, Permit, Priority, Waiting};
use burgeon_resilience::{Instant, Outcome, limit, line};
use loom::thread;

fn at(millis: u64) -> Instant {
    Instant::ORIGIN.plus(Duration::from_millis(millis))
}

fn one_at_a_time() -> Admission {
    Admission::new(Config {
        limit: limit::Config::fixed(1),
        line: line::Config { capacity: 2, ..line::Config::default() },
        ..Config::default()
    })
}

fn enter(admission: &Admission) -> Entry {
    let priority = Priority::new(Criticality::Critical, Cohort::default());
    admission.admit(at(0), priority, None).unwrap()
}

fn admitted(admission: &Admission) -> Permit {
    match enter(admission) {
        Entry::Admitted(permit) => permit,
        Entry::Waiting(_) => panic!("there was room"),
    }
}

fn waiting(admission: &Admission) -> Waiting {
    match enter(admission) {
        Entry::Waiting(waiting) => waiting,
        Entry::Admitted(_) => panic!("there was no room"),
    }
}

fn called(waiting: &mut Waiting) -> bool {
    match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.is_ok(),
        Poll::Pending => false,
    }
}

fn is_idle(admission: &Admission) -> bool {
    let view = admission.view(at(1));
    view.limit.in_flight == 0 && view.line.waiting == 0
}

#[test]
fn who_begins_to_wait_while_the_last_permit_comes_back_is_called() {
    loom::model(|| {
        let admission = one_at_a_time();
        let permit = admitted(&admission);
        let other = admission.clone();
        let comes = thread::spawn(move || enter(&other));
        permit.settle(at(1), Outcome::Ok);
        match comes.join().unwrap() {
            Entry::Admitted(permit) => drop(permit),
            Entry::Waiting(mut waiting) => assert!(called(&mut waiting), "nobody is left to call him"),
        }
        assert!(is_idle(&admission));
    });
}

#[test]
fn who_leaves_while_he_is_called_passes_it_on() {
    loom::model(|| {
        let admission = one_at_a_time();
        let permit = admitted(&admission);
        let second = waiting(&admission);
        let mut third = waiting(&admission);
        let leaves = thread::spawn(move || drop(second));
        drop(permit);
        leaves.join().unwrap();
        assert!(called(&mut third), "the permit was lost with the one who left");
        drop(third);
        assert!(is_idle(&admission));
    });
}

#[test]
fn who_gives_up_while_he_is_called_takes_it_or_passes_it_on() {
    loom::model(|| {
        let admission = one_at_a_time();
        let permit = admitted(&admission);
        let second = waiting(&admission);
        let mut third = waiting(&admission);
        let gives_up = thread::spawn(move || second.give_up(at(100)).is_ok());
        permit.settle(at(1), Outcome::Ok);
        gives_up.join().unwrap();
        assert!(called(&mut third), "the permit was lost with the one who gave up");
        drop(third);
        assert!(is_idle(&admission));
    });
}
