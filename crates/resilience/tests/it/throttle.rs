use std::time::Duration;

use burgeon_resilience::random::{self, Dice};
use burgeon_resilience::throttle::{Config, Throttle};
use burgeon_resilience::{Instant, Outcome};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

/// So many seconds of 100 requests a second, of which the other side accepts a share. Returns how many were sent.
fn run(throttle: &Throttle, dice: &Dice, from: u64, seconds: u64, accepted: f64) -> u64 {
    let mut sent = 0;
    for tick in 0..seconds * 100 {
        let now = Instant::from_micros(from * SECOND + tick * SECOND / 100);
        if let Ok(permit) = throttle.admit(now, dice.roll()) {
            let well = random::unit(dice.roll()) < accepted;
            permit.settle(now, if well { Outcome::Ok } else { Outcome::Shed });
            sent += 1;
        }
    }
    sent
}

#[test]
fn who_accepts_half_gets_everything_and_who_accepts_nothing_gets_a_tenth() {
    let dice = Dice::seeded(5);
    let half = Throttle::new(Config::default());
    assert!(run(&half, &dice, 1, 60, 0.6) > 5_900);

    let none = Throttle::new(Config::default());
    run(&none, &dice, 1, 60, 0.0);
    let sent = run(&none, &dice, 61, 60, 0.0);
    assert!((500..900).contains(&sent), "{sent} of 6,000 were sent");

    // Well again: within the window all pass.
    run(&none, &dice, 121, 60, 1.0);
    assert_eq!(run(&none, &dice, 181, 10, 1.0), 1_000);
}

#[test]
fn it_settles_near_twice_what_is_accepted() {
    // A server that accepts the first 10 of each second.
    let (throttle, dice) = (Throttle::new(Config::default()), Dice::seeded(6));
    let mut sent = 0;
    for second in 1..=300 {
        let mut accepted = 0;
        for tick in 0..100 {
            let now = Instant::from_micros(second * SECOND + tick * SECOND / 100);
            if let Ok(permit) = throttle.admit(now, dice.roll()) {
                accepted += 1;
                permit.settle(now, if accepted <= 10 { Outcome::Ok } else { Outcome::Shed });
                sent += u64::from(second > 60);
            }
        }
    }
    let per_second = sent as f64 / 240.0;
    assert!((17.0..25.0).contains(&per_second), "{per_second} a second were sent");
}

#[test]
fn one_passes_each_second_whatever_the_chance() {
    let throttle = Throttle::new(Config { cap: 1.0, ..Config::default() });
    for _ in 0..1_000 {
        throttle.admit(Instant::ORIGIN, u64::MAX).unwrap().settle(Instant::ORIGIN, Outcome::Fail);
    }
    for second in 2..20 {
        let passed = |n: &u64| throttle.admit(Instant::from_micros(second * SECOND + n), 0).map(drop).is_ok();
        assert_eq!((0..100u64).filter(passed).count(), 1);
    }
}

#[test]
fn a_cancelled_request_says_nothing() {
    let throttle = Throttle::new(Config::default());
    for _ in 0..1_000 {
        drop(throttle.admit(Instant::ORIGIN, 0).unwrap());
        throttle.admit(Instant::ORIGIN, 0).unwrap().settle(Instant::ORIGIN, Outcome::Ignored);
    }
    assert_eq!(throttle.view(Instant::ORIGIN).requests, 0);
}

#[test]
fn senseless_numbers_are_named() {
    assert!(Config { multiplier: f64::NAN, ..Config::default() }.validate().is_err());
    assert!(Config { multiplier: 0.9, ..Config::default() }.validate().is_err());
    assert!(Config { cap: 1.1, ..Config::default() }.validate().is_err());
    assert!(Config { window: Duration::ZERO, ..Config::default() }.validate().is_err());
    assert_eq!(Config::default().validate(), Ok(()));
    drop(Throttle::new(Config { window: Duration::ZERO, ..Config::default() }).admit(Instant::ORIGIN, 0));
}

proptest! {
    /// Against the formula over a list.
    #[test]
    fn it_does_what_the_model_does(
        steps in prop::collection::vec((0u64..SECOND, any::<u64>(), 0u8..5), 0..300),
    ) {
        let throttle = Throttle::new(Config::default());
        // Slot of three seconds, accepted.
        let mut list: Vec<(u64, bool)> = Vec::new();
        let (mut now, mut passed) = (0, 0);
        for (pause, random, how) in steps {
            now += pause;
            let slot = now / (3 * SECOND);
            list.retain(|(one, _)| one + 10 > slot);
            let requests = list.len() as f64;
            let accepted = list.iter().filter(|(_, accepted)| *accepted).count() as f64;
            let chance = ((requests - 2.0 * accepted) / (requests + 1.0)).clamp(0.0, 0.9);
            let chance = if list.len() < 5 { 0.0 } else { chance };
            let mut admitted = random::unit(random) >= chance;
            if !admitted && now - passed >= SECOND {
                (admitted, passed) = (true, now);
            }
            let moment = Instant::from_micros(now);
            let permit = throttle.admit(moment, random);
            prop_assert_eq!(permit.is_ok(), admitted);
            match permit {
                Err(_) => list.push((slot, false)),
                Ok(permit) => match how {
                    0 => drop(permit),
                    1 => permit.settle(moment, Outcome::Ignored),
                    2 => { permit.settle(moment, Outcome::Ok); list.push((slot, true)); }
                    3 => { permit.settle(moment, Outcome::Fail); list.push((slot, false)); }
                    _ => { permit.settle(moment, Outcome::Shed); list.push((slot, false)); }
                },
            }
        }
    }
}
