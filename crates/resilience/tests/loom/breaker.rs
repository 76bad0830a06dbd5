use burgeon_resilience::breaker::{Breaker, Config, State};
use burgeon_resilience::{Instant, Outcome};
use loom::thread;

const SECOND: u64 = 1_000_000;
const LATER: Instant = Instant::from_micros(7 * SECOND);

/// Opened at the origin; at `LATER` the next call is a probe.
fn opened() -> Breaker {
    let breaker = Breaker::new(Config::default());
    for _ in 0..5 {
        breaker.admit(Instant::ORIGIN, 1 << 63).unwrap().settle(Instant::ORIGIN, Outcome::Fail);
    }
    breaker
}

/// Two race for the probe, and whoever gets it ends it in every way there is.
#[test]
fn half_open_admits_exactly_one_and_never_loses_its_place() {
    for ending in [None, Some(Outcome::Ok), Some(Outcome::Fail), Some(Outcome::Ignored)] {
        loom::model(move || {
            let breaker = opened();
            let racer = breaker.clone();
            let other = thread::spawn(move || racer.admit(LATER, 0).ok());
            let mine = breaker.admit(LATER, 0).ok();
            let theirs = other.join().unwrap();
            assert!(mine.is_some() ^ theirs.is_some(), "exactly one");
            let probe = mine.or(theirs).unwrap();
            assert!(breaker.admit(LATER, 0).is_err());
            match ending {
                None => drop(probe),
                Some(outcome) => probe.settle(LATER, outcome),
            }
            let after = breaker.admit(LATER, 0);
            assert_eq!(after.is_ok(), ending != Some(Outcome::Fail), "{ending:?}");
        });
    }
}

/// One ends its probe while another asks: whichever way it falls, one place exists afterwards.
#[test]
fn a_probe_that_ends_while_another_asks_leaves_one_place() {
    for ending in [None, Some(Outcome::Ok)] {
        loom::model(move || {
            let breaker = opened();
            let probe = breaker.admit(LATER, 0).unwrap();
            let racer = breaker.clone();
            let other = thread::spawn(move || racer.admit(LATER, 0).ok());
            match ending {
                None => drop(probe),
                Some(outcome) => probe.settle(LATER, outcome),
            }
            let theirs = other.join().unwrap();
            if theirs.is_some() {
                assert!(breaker.admit(LATER, 0).is_err());
            }
            drop(theirs);
            assert!(breaker.admit(LATER, 0).is_ok());
        });
    }
}

/// A probe is given up as lost in the moment in which it ends after all.
#[test]
fn a_lost_probe_that_comes_back_late_gives_back_nothing_that_is_not_its_own() {
    for outcome in [Outcome::Ok, Outcome::Fail, Outcome::Ignored] {
        loom::model(move || {
            let breaker = opened();
            let lost = breaker.admit(LATER, 0).unwrap();
            let late = Instant::from_micros(20 * SECOND);
            let other = thread::spawn(move || lost.settle(late, outcome));
            let second = breaker.admit(late, 0).ok();
            other.join().unwrap();
            match (second, breaker.view(late).state) {
                // It was given up: its result changed nothing, and the second holds the one place.
                (Some(second), State::HalfOpen) => {
                    assert!(breaker.admit(late, 0).is_err());
                    drop(second);
                    assert!(breaker.admit(late, 0).is_ok());
                }
                // It came back in time, and failed.
                (None, State::Open) => assert_eq!(outcome, Outcome::Fail),
                (second, state) => panic!("{second:?} {state:?}"),
            }
        });
    }
}

#[test]
fn it_opens_once_however_many_failures_come_at_once() {
    loom::model(|| {
        let breaker = Breaker::new(Config::default());
        let now = Instant::ORIGIN;
        let permits: Vec<_> = (0..2).map(|_| breaker.admit(now, 0).unwrap()).collect();
        for _ in 0..4 {
            breaker.admit(now, 0).unwrap().settle(now, Outcome::Fail);
        }
        let threads: Vec<_> = permits
            .into_iter()
            .map(|permit| thread::spawn(move || permit.settle(now, Outcome::Fail)))
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let view = breaker.view(now);
        assert_eq!((view.state, view.opened), (State::Open, 1));
    });
}
