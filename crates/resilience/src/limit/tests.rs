//! The arithmetic window by window, and the permits against a plain count.

use std::time::Duration;

use proptest::prelude::*;

use super::gradient2::{Gradient2, Seen};
use super::{Config, Limit, Permit};
use crate::{Instant, Outcome, Why};

const MS: f64 = 1_000.0;

fn seen(mean: f64, in_flight: u32) -> Seen {
    Seen { samples: 100, mean, in_flight, shed: 0 }
}

/// As full as can be, so many windows long.
fn full(gradient: &mut Gradient2, windows: u32, mean: f64) {
    for _ in 0..windows {
        gradient.learn(&seen(mean, gradient.limit()));
    }
}

#[test]
fn it_grows_while_it_is_full_and_nothing_slows_down() {
    let mut gradient = Gradient2::new(Config::default());
    full(&mut gradient, 20, 10.0 * MS);
    assert!(gradient.limit() > 30, "{}", gradient.limit());
    full(&mut gradient, 10_000, 10.0 * MS);
    assert_eq!(gradient.limit(), 1_000);
}

#[test]
fn it_does_not_move_while_less_than_half_of_it_is_used() {
    let mut gradient = Gradient2::new(Config::default());
    for _ in 0..10_000 {
        gradient.learn(&seen(10.0 * MS, 9));
    }
    assert_eq!(gradient.limit(), 20);
    for mean in [1.0, 100.0 * MS] {
        gradient.learn(&seen(mean, 9));
    }
    assert_eq!(gradient.limit(), 20);
}

#[test]
fn a_limit_that_was_never_tried_sinks_to_where_it_started() {
    let mut gradient = Gradient2::new(Config::default());
    full(&mut gradient, 500, 10.0 * MS);
    assert!(gradient.limit() > 300);
    for _ in 0..1_000 {
        gradient.learn(&seen(10.0 * MS, 1));
    }
    assert_eq!(gradient.limit(), 20);
}

#[test]
fn it_shrinks_by_the_ratio_when_calls_slow_down_and_never_below_its_least() {
    let mut gradient = Gradient2::new(Config::default());
    full(&mut gradient, 25, 10.0 * MS);
    let before = gradient.limit();
    full(&mut gradient, 4, 20.0 * MS);
    assert!(gradient.limit() < before, "{} after {before}", gradient.limit());

    let mut gradient = Gradient2::new(Config { probe: false, ..Config::default() });
    full(&mut gradient, 10, 10.0 * MS);
    for _ in 0..50 {
        gradient.learn(&Seen { shed: 100, ..seen(1_000.0 * MS, gradient.limit()) });
    }
    assert_eq!(gradient.limit(), 4);
}

#[test]
fn a_few_sheds_below_are_bad_luck_and_many_are_overload() {
    for (shed, shrinks) in [(5, false), (6, true)] {
        let mut gradient = Gradient2::new(Config::default());
        full(&mut gradient, 10, 10.0 * MS);
        let before = gradient.limit();
        gradient.learn(&Seen { shed, ..seen(10.0 * MS, before) });
        assert_eq!(gradient.limit() < before, shrinks, "{shed} of {}", 100 + shed);
    }
}

#[test]
fn windows_of_nothing_but_sheds_shrink_it_too() {
    let mut gradient = Gradient2::new(Config::default());
    for _ in 0..100 {
        gradient.learn(&Seen { samples: 0, mean: 0.0, shed: 10, in_flight: gradient.limit() });
    }
    assert_eq!(gradient.limit(), 4);
}

/// A machine that is full at eight: response times grow with what is in flight.
fn saturated(gradient: &mut Gradient2, windows: u32) {
    for _ in 0..windows {
        let in_flight = gradient.limit();
        gradient.learn(&seen(10.0 * MS * f64::from(in_flight.max(8)) / 8.0, in_flight));
    }
}

#[test]
fn in_a_long_overload_its_own_queue_does_not_become_normal() {
    let mut creeping = Gradient2::new(Config { probe: false, ..Config::default() });
    saturated(&mut creeping, 6_000);
    assert!(
        creeping.limit() > 80,
        "{}: without the probe it creeps, or this tests nothing",
        creeping.limit()
    );

    let mut gradient = Gradient2::new(Config::default());
    // It begins in the middle of an overload, and needs a few probes to see that.
    saturated(&mut gradient, 1_500);
    for _ in 0..4_500 {
        saturated(&mut gradient, 1);
        assert!((8..=30).contains(&gradient.limit()), "{}", gradient.limit());
    }
}

#[test]
fn work_that_really_takes_longer_is_learned_though_the_limit_is_always_reached() {
    let mut gradient = Gradient2::new(Config::default());
    full(&mut gradient, 300, 10.0 * MS);
    full(&mut gradient, 3_000, 30.0 * MS);
    assert!((gradient.baseline() - 30.0 * MS).abs() < 2.0 * MS, "{}", gradient.baseline());
    assert!(gradient.limit() > 100, "{}", gradient.limit());
}

#[test]
fn bad_times_are_forgotten_faster_than_learned() {
    let mut gradient = Gradient2::new(Config::default());
    full(&mut gradient, 10, 500.0 * MS);
    let windows = (1..).find(|_| {
        gradient.learn(&seen(10.0 * MS, 15));
        gradient.baseline() < 21.0 * MS
    });
    assert!(windows.is_some_and(|windows| windows < 40), "{windows:?}");
}

proptest! {
    #[test]
    fn whatever_it_sees_it_stays_between_its_bounds(
        windows in proptest::collection::vec(
            (0..200u32, 1.0..1e9f64, 0..2_000u32, 0..200u32), 1..200
        ),
        probe in any::<bool>(),
    ) {
        let mut gradient = Gradient2::new(Config { probe, ..Config::default() });
        for (samples, mean, in_flight, shed) in windows {
            gradient.learn(&Seen { samples, mean, in_flight, shed });
            prop_assert!((4..=1_000).contains(&gradient.limit()));
            prop_assert!(gradient.baseline().is_finite() && gradient.baseline() >= 0.0);
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

/// So many calls, one after the other, of so many milliseconds each.
fn calls(limit: &Limit, from: u64, count: u64, took: u64, outcome: Outcome) -> u64 {
    for call in 0..count {
        let permit = limit.admit(at(from + call * took)).expect("one at a time");
        permit.settle(at(from + (call + 1) * took), outcome);
    }
    from + count * took
}

fn baseline_after(outcome: Outcome) -> Duration {
    let limit = Limit::new(Config::default());
    let now = calls(&limit, 0, 100, 10, Outcome::Ok);
    calls(&limit, now, 100, 30, outcome);
    limit.view().baseline
}

#[test]
fn what_says_nothing_about_load_is_no_sample() {
    let before = Duration::from_millis(10);
    assert_eq!(baseline_after(Outcome::Ignored), before);
    assert_eq!(baseline_after(Outcome::Shed), before);
    assert!(baseline_after(Outcome::Ok) > before);
    assert!(baseline_after(Outcome::Slow) > before);
    assert!(baseline_after(Outcome::Fail) > before, "a failure that took longer than usual is a timeout");
}

#[test]
fn a_fast_failure_does_not_make_it_look_fast() {
    let limit = Limit::new(Config::default());
    let now = calls(&limit, 0, 100, 10, Outcome::Ok);
    calls(&limit, now, 1_000, 1, Outcome::Fail);
    assert_eq!(limit.view().baseline, Duration::from_millis(10));
}

#[test]
fn a_dropped_permit_is_given_back_and_counts_as_nothing() {
    let limit = Limit::new(Config::fixed(1));
    let permit = limit.admit(at(0)).expect("room");
    assert_eq!(limit.admit(at(0)).map(drop).unwrap_err().why, Why::Limit);
    drop(permit);
    assert_eq!(limit.in_flight(), 0);
    calls(&limit, 0, 9, 100, Outcome::Ok);
    assert_eq!(limit.view().baseline, Duration::ZERO, "nine are not enough, and the tenth was cancelled");
}

#[test]
fn calls_of_before_the_probe_do_not_speak_for_it() {
    let limit = Limit::new(Config { initial: 10, min: 10, max: 1_000, ..Config::default() });
    // Full, in rounds of 100 ms, until the limit drops for a probe.
    let mut now = 0;
    let mut out: Vec<Permit> = Vec::new();
    let mut before = limit.current();
    let old = limit.admit(at(0)).expect("room");
    while limit.current() >= before {
        before = limit.current();
        while let Ok(permit) = limit.admit(at(now)) {
            out.push(permit);
        }
        now += 100;
        out.drain(..).for_each(|permit| permit.settle(at(now), Outcome::Ok));
        assert!(now < 60_000, "it never probed");
    }
    let baseline = limit.view().baseline;
    old.settle(at(now + 50), Outcome::Ok);
    calls(&limit, now + 50, 10, 100, Outcome::Ok);
    assert_eq!(limit.view().baseline, baseline, "the old one took a minute, and does not count");
}

proptest! {
    #[test]
    fn permits_are_conserved_and_never_more_than_the_limit(
        steps in proptest::collection::vec((0..4u8, 0..50_000u64, 0..64usize), 1..400),
        backwards in any::<bool>(),
    ) {
        let limit = Limit::new(Config { initial: 6, max: 30, ..Config::default() });
        let mut out: Vec<Permit> = Vec::new();
        let mut now = 1_000_000;
        for (step, micros, which) in steps {
            now = if backwards && which == 0 { now - micros.min(now) } else { now + micros };
            let instant = Instant::from_micros(now);
            match step {
                0 | 1 => {
                    let room = (out.len() as u32) < limit.current();
                    let admitted = limit.admit(instant);
                    prop_assert_eq!(admitted.is_ok(), room);
                    out.extend(admitted);
                }
                _ if out.is_empty() => {}
                2 => {
                    let outcomes =
                        [Outcome::Ok, Outcome::Slow, Outcome::Fail, Outcome::Shed, Outcome::Ignored];
                    out.swap_remove(which % out.len()).settle(instant, outcomes[which % 5]);
                }
                _ => drop(out.swap_remove(which % out.len())),
            }
            prop_assert_eq!(limit.in_flight() as usize, out.len());
            prop_assert!((4..=30).contains(&limit.current()));
        }
        drop(out);
        prop_assert_eq!(limit.in_flight(), 0);
    }
}
