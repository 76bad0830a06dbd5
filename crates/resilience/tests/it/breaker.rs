//! The breaker through its door: against a plain model, and in the situations that break breakers.

use std::time::Duration;

use burgeon_resilience::breaker::{Breaker, Config, Permit, State};
use burgeon_resilience::random::{self, Dice};
use burgeon_resilience::{Instant, Outcome};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

fn call(breaker: &Breaker, now: u64, outcome: Outcome) -> bool {
    let now = Instant::from_micros(now);
    match breaker.admit(now, u64::MAX / 2) {
        Ok(permit) => {
            permit.settle(now, outcome);
            true
        }
        Err(_) => false,
    }
}

fn state(breaker: &Breaker, now: u64) -> State {
    breaker.view(Instant::from_micros(now)).state
}

#[test]
fn after_20_000_successes_it_opens_within_five_failures_or_a_second_of_traffic() {
    for rate in [1, 2, 5, 10, 50, 100, 1_000, 20_000] {
        // Wherever in a second of the ring the trouble begins.
        for tenth in 0..10 {
            let breaker = Breaker::new(Config::default());
            let pause = SECOND / rate;
            let mut now = tenth * SECOND / 10;
            for _ in 0..20_000 {
                now += pause;
                assert!(call(&breaker, now, Outcome::Ok));
            }
            let started = now;
            let mut failures = 0;
            loop {
                now += pause;
                if !call(&breaker, now, Outcome::Fail) {
                    break;
                }
                failures += 1;
            }
            assert!(
                failures <= 5 || now - started <= SECOND + pause,
                "at {rate} calls a second it took {failures} failures in {} us",
                now - started
            );
        }
    }
}

#[test]
fn thirty_percent_of_random_errors_do_not_make_it_flap() {
    for (rate, seeds) in [(20, 4), (100, 2), (400, 1)] {
        for seed in 0..seeds {
            let breaker = Breaker::new(Config::default());
            let dice = Dice::seeded(seed);
            let mut refused = 0;
            for number in 0..600 * rate {
                let ill = random::unit(dice.roll()) < 0.3;
                let outcome = if ill { Outcome::Fail } else { Outcome::Ok };
                refused += u32::from(!call(&breaker, number * SECOND / rate, outcome));
            }
            let view = breaker.view(Instant::from_micros(600 * SECOND));
            assert_eq!((view.opened, refused), (0, 0), "{rate} calls a second, seed {seed}");
        }
    }
}

#[test]
fn slow_answers_open_it_and_load_does_not() {
    let slow = Breaker::new(Config::default());
    (0..20).for_each(|n| assert!(call(&slow, n, Outcome::Slow)));
    assert_eq!(state(&slow, 20), State::Open);

    let busy = Breaker::new(Config::default());
    for number in 0..10_000 {
        assert!(call(&busy, number * 1_000, Outcome::Shed), "a storm of 429 opened it");
        assert!(call(&busy, number * 1_000, Outcome::Ignored));
    }
    assert_eq!(state(&busy, 10 * SECOND), State::Closed);
}

#[test]
fn a_result_of_an_older_generation_changes_nothing() {
    let breaker = Breaker::new(Config::default());
    let old: Vec<Permit> = (0..100).map(|_| breaker.admit(Instant::from_micros(1), 0).unwrap()).collect();
    (0..5).for_each(|_| assert!(call(&breaker, 2, Outcome::Fail)));
    assert_eq!(state(&breaker, 2), State::Open);
    let mut now = 10 * SECOND;
    let probe = breaker.admit(Instant::from_micros(now), 0).unwrap();
    for permit in old {
        permit.settle(Instant::from_micros(now), Outcome::Fail);
    }
    assert_eq!(state(&breaker, now), State::HalfOpen);
    probe.settle(Instant::from_micros(now), Outcome::Ok);
    for _ in 0..2 {
        now += 1;
        assert!(call(&breaker, now, Outcome::Ok));
    }
    let view = breaker.view(Instant::from_micros(now));
    assert_eq!((view.state, view.ok, view.fail, view.in_a_row), (State::Ramp, 0, 0, 0), "a cold window");
}

/// Opens it, and waits until the next call is a probe.
fn half_open() -> (Breaker, u64) {
    let breaker = Breaker::new(Config::default());
    (0..5).for_each(|_| assert!(call(&breaker, 0, Outcome::Fail)));
    assert_eq!(state(&breaker, 0), State::Open);
    (breaker, 7 * SECOND)
}

#[test]
fn half_open_admits_exactly_one_and_a_cancelled_one_makes_room() {
    let (breaker, now) = half_open();
    let now = Instant::from_micros(now);
    for _ in 0..10 {
        let probe = breaker.admit(now, 0).unwrap();
        assert!((0..100).all(|_| breaker.admit(now, 0).is_err()));
        drop(probe);
    }
    breaker.admit(now, 0).unwrap().settle(now, Outcome::Ignored);
    breaker.admit(now, 0).unwrap().settle(now, Outcome::Shed);
    assert_eq!(breaker.view(now).state, State::Open, "a 429 fails a probe");
}

#[test]
fn a_lost_probe_does_not_pin_the_state_and_its_late_result_is_nobodys() {
    let (breaker, now) = half_open();
    let lost = breaker.admit(Instant::from_micros(now), 0).unwrap();
    assert!(breaker.admit(Instant::from_micros(now + 9 * SECOND), 0).is_err());
    let late = Instant::from_micros(now + 10 * SECOND);
    let second = breaker.admit(late, 0).unwrap();
    lost.settle(late, Outcome::Fail);
    assert_eq!(breaker.view(late).state, State::HalfOpen);
    assert!(breaker.admit(late, 0).is_err(), "the lost one gave back what the second holds");
    second.settle(late, Outcome::Ok);
    assert!(breaker.admit(late, 0).is_ok());
}

#[test]
fn it_lets_a_growing_share_through_after_it_closed() {
    let (breaker, now) = half_open();
    (0..3).for_each(|_| assert!(call(&breaker, now, Outcome::Ok)));
    let dice = Dice::seeded(3);
    let shares = [0, 2, 5, 8].map(|second| {
        let moment = Instant::from_micros(now + second * SECOND);
        (0..10_000).filter(|_| breaker.admit(moment, dice.roll()).is_ok()).count()
    });
    for (share, expected) in shares.into_iter().zip([1_000, 2_000, 5_000, 8_000]) {
        assert!(share.abs_diff(expected) < 200, "{shares:?}");
    }
    assert_eq!(state(&breaker, now + 10 * SECOND), State::Closed);
}

#[test]
fn a_clock_that_steps_back_breaks_nothing() {
    let (breaker, now) = half_open();
    let probe = breaker.admit(Instant::from_micros(now), 0).unwrap();
    probe.settle(Instant::from_micros(1), Outcome::Ok);
    assert!(breaker.admit(Instant::from_micros(2), 0).is_ok());
    for moment in [u64::MAX, 0, 5 * SECOND, 0] {
        if let Ok(permit) = breaker.admit(Instant::from_micros(moment), 0) {
            permit.settle(Instant::from_micros(0), Outcome::Fail);
        }
        breaker.view(Instant::from_micros(moment));
    }
}

#[test]
fn senseless_numbers_are_named_and_do_no_harm() {
    let senseless = [
        Config { calls: 0, ..Config::default() },
        Config { fail_share: 0.0, ..Config::default() },
        Config { slow_share: f64::NAN, ..Config::default() },
        Config { open: Duration::ZERO, ..Config::default() },
        Config { open: Duration::MAX, open_cap: Duration::from_secs(1), ..Config::default() },
        Config { probe_timeout: Duration::ZERO, ..Config::default() },
        Config { successes: 0, ..Config::default() },
        Config { successes: 8, ..Config::default() },
    ];
    for config in senseless {
        assert!(config.validate().is_err(), "{config:?}");
        let breaker = Breaker::new(config);
        for number in 0..100 {
            call(&breaker, number * SECOND, Outcome::Fail);
        }
    }
    assert_eq!(Config::default().validate(), Ok(()));
}

/// A breaker as one would write it down: lists and plain words, nothing packed.
struct Model {
    phase: Phase,
    /// Of the phase that is; results of others are nobody's.
    epoch: u32,
    calls: Vec<(u64, Outcome)>,
    run: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Closed { trips: u32, ramp_end: u64 },
    Open { trips: u32, until: u64 },
    HalfOpen { trips: u32, well: u32, probe: Option<u64> },
}

impl Model {
    fn admit(&mut self, now: u64, random: u64) -> Option<(u32, bool)> {
        let ms = now / 1_000;
        match self.phase {
            Phase::Closed { ramp_end, .. } => {
                let share = 1.0 - ramp_end.saturating_sub(ms) as f64 / 10_000.0;
                (ms >= ramp_end || random::unit(random) < share.max(0.1)).then_some((self.epoch, false))
            }
            Phase::Open { trips, until } if ms >= until => Some(self.probe(trips, 0, ms)),
            Phase::HalfOpen { trips, well, probe } if probe.is_none_or(|until| ms >= until) => {
                Some(self.probe(trips, well, ms))
            }
            _ => None,
        }
    }

    fn probe(&mut self, trips: u32, well: u32, ms: u64) -> (u32, bool) {
        self.go(Phase::HalfOpen { trips, well, probe: Some(ms + 10_000) });
        (self.epoch, true)
    }

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    fn open(&mut self, trips: u32, ms: u64, random: u64) {
        let bound = (5_000u64 << trips.min(15)).min(60_000) as f64;
        self.go(Phase::Open { trips, until: ms + (bound * random::between(random, 0.75, 1.25)) as u64 });
    }

    fn settle(&mut self, (epoch, _): (u32, bool), now: u64, random: u64, outcome: Option<Outcome>) {
        let ms = now / 1_000;
        if epoch != self.epoch {
            return;
        }
        match self.phase {
            Phase::Open { .. } => unreachable!("an open phase admits nobody"),
            Phase::HalfOpen { trips, well, .. } => match outcome {
                None | Some(Outcome::Ignored) => {
                    self.phase = Phase::HalfOpen { trips, well, probe: None };
                }
                Some(Outcome::Ok) if well + 1 < 3 => {
                    self.phase = Phase::HalfOpen { trips, well: well + 1, probe: None };
                }
                Some(Outcome::Ok) => {
                    self.calls.clear();
                    self.run = 0;
                    self.go(Phase::Closed { trips: trips + 1, ramp_end: ms + 10_000 });
                }
                Some(_) => self.open(trips + 1, ms, random),
            },
            Phase::Closed { trips, ramp_end } => {
                match outcome {
                    None | Some(Outcome::Ignored | Outcome::Shed) => return,
                    Some(Outcome::Fail) => self.run += 1,
                    Some(_) => self.run = 0,
                }
                self.calls.extend(outcome.map(|outcome| (now, outcome)));
                if outcome != Some(Outcome::Ok) && self.is_ill(now) {
                    self.open(if ms < ramp_end { trips } else { 0 }, ms, random);
                }
            }
        }
    }

    fn count(&self, now: u64, seconds: u64, which: &[Outcome]) -> f64 {
        let first = (now / SECOND + 1).saturating_sub(seconds);
        let inside = |call: &&(u64, Outcome)| call.0 / SECOND >= first && which.contains(&call.1);
        self.calls.iter().filter(inside).count() as f64
    }

    fn is_ill(&self, now: u64) -> bool {
        use Outcome::{Fail, Ok, Slow};
        let all = self.count(now, 10, &[Ok, Fail, Slow]);
        let fail = self.count(now, 10, &[Fail]);
        let slow = self.count(now, 10, &[Slow]);
        let run = f64::from(self.run);
        let outside = (fail - run).max(0.0) / (all - run).max(1.0);
        let recent = self.count(now, 2, &[Fail]) * 2.0 >= self.count(now, 2, &[Ok, Fail, Slow]);
        all >= 20.0 && (fail / all >= 0.5 || slow / all >= 0.8)
            || self.run >= 5 && recent && outside.powi(self.run as i32) <= 1e-6
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit(u64),
    Settle(usize, Outcome),
    Cancel(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Ok),
        5 => Just(Outcome::Fail),
        1 => Just(Outcome::Slow),
        1 => Just(Outcome::Shed),
        1 => Just(Outcome::Ignored),
    ];
    let step = prop_oneof![
        2 => (0u64..3 * SECOND).prop_map(Step::Wait),
        1 => (0u64..20 * SECOND).prop_map(Step::Wait),
        8 => any::<u64>().prop_map(Step::Admit),
        8 => (0usize..4, outcome).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        1 => (0usize..4).prop_map(Step::Cancel),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn it_does_what_the_model_does(steps in steps()) {
        let breaker = Breaker::new(Config::default());
        let closed = Phase::Closed { trips: 0, ramp_end: 0 };
        let mut model = Model { phase: closed, epoch: 0, calls: Vec::new(), run: 0 };
        let mut held: Vec<(Permit, (u32, bool), u64)> = Vec::new();
        let mut now = 0u64;
        for step in steps {
            let moment = Instant::from_micros(now);
            match step {
                Step::Wait(pause) => now += pause,
                Step::Admit(random) => {
                    let admitted = breaker.admit(moment, random).ok();
                    let expected = model.admit(now, random);
                    prop_assert_eq!(admitted.is_some(), expected.is_some());
                    held.extend(admitted.zip(expected).map(|(permit, id)| (permit, id, random)));
                }
                Step::Settle(which, outcome) if !held.is_empty() => {
                    let (permit, id, random) = held.remove(which % held.len());
                    permit.settle(moment, outcome);
                    model.settle(id, now, random, Some(outcome));
                }
                Step::Cancel(which) if !held.is_empty() => {
                    let (permit, id, random) = held.remove(which % held.len());
                    drop(permit);
                    model.settle(id, now, random, None);
                }
                _ => {}
            }
            let moment = Instant::from_micros(now);
            let expected = match model.phase {
                Phase::Closed { ramp_end, .. } if now / 1_000 < ramp_end => State::Ramp,
                Phase::Closed { .. } => State::Closed,
                Phase::Open { .. } => State::Open,
                Phase::HalfOpen { .. } => State::HalfOpen,
            };
            prop_assert_eq!(breaker.view(moment).state, expected);
        }
    }
}
