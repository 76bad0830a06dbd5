//! What must hold when more comes than can be served. Goodput is what is answered within the deadline; the server can do 800 per second.
//!
//! The peers and the parts that are switched off are here as controls: where they do not collapse, the test tests nothing.

use std::time::Duration;

use burgeon_core::Criticality;
use burgeon_resilience::admission::{Config, Level};
use burgeon_resilience::{Instant, limit, line};

use crate::sim::peers::{Envoy, Fifo, Fixed, GoZero, Gradient2, Late, Limited, NoLimit, Vegas};
use crate::sim::scenario::critical;
use crate::sim::{Policy, Record, Retries, Scenario, Stack, Work, run};

const BEFORE: std::ops::Range<usize> = 5..20;
const DURING: std::ops::Range<usize> = 22..60;
const AFTER: std::ops::Range<usize> = 65..100;

fn ours() -> Stack {
    Stack::new(Config::default())
}

fn fifo(capacity: usize) -> Fifo {
    Fifo::new(16, capacity, Late::Served)
}

fn twice(policy: &mut dyn Policy) -> Record {
    run(&Scenario::overload("2x", 1_600.0), policy)
}

#[test]
fn the_same_seed_is_the_same_run() {
    let play = |seed| {
        let record = run(&Scenario::overload("2x", 1_600.0).seeded(seed), &mut ours());
        record.seconds.into_iter().flat_map(|second| second.took).collect::<Vec<u32>>()
    };
    assert!(play(1) == play(1));
    assert!(play(1) != play(2));
}

#[test]
fn twice_the_load_is_served_at_capacity_and_it_recovers_at_once() {
    for seed in 1..=3 {
        let record = run(&Scenario::overload("2x", 1_600.0).seeded(seed), &mut ours());
        let goodput = record.goodput(DURING);
        assert!(goodput >= 0.95 * 800.0, "goodput {goodput}");
        let p99 = record.percentile(99.0, DURING);
        assert!(p99 <= 130.0, "p99 {p99} ms");
        assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
        assert_eq!(record.refusals(BEFORE), 0.0, "nobody is refused at half load");
        assert_eq!(record.started_for_nobody(), 0);
    }
}

#[test]
fn ten_times_the_load_is_served_at_capacity_and_it_recovers_at_once() {
    for seed in 1..=2 {
        let record = run(&Scenario::overload("10x", 8_000.0).seeded(seed), &mut ours());
        let goodput = record.goodput(DURING);
        assert!(goodput >= 0.95 * 800.0, "goodput {goodput}");
        let p99 = record.percentile(99.0, DURING);
        assert!(p99 <= 130.0, "p99 {p99} ms");
        assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
        assert_eq!(record.started_for_nobody(), 0);
    }
}

#[test]
fn ten_minutes_of_twice_the_load_change_nothing_and_without_the_probe_the_limit_creeps() {
    let record = run(&Scenario::long(), &mut ours());
    let last = record.goodput(520..620);
    assert!(last >= 0.95 * 800.0, "goodput {last} in the tenth minute");
    assert!(record.greatest_limit(60..620) <= 24, "limit {}", record.greatest_limit(60..620));

    let limit = limit::Config { probe: false, ..limit::Config::default() };
    let unprobed = Stack::new(Config { limit, ..Config::default() });
    let policies: [Box<dyn Policy>; 2] =
        [Box::new(unprobed), Box::new(Limited::new(20, Gradient2::default()))];
    for mut policy in policies {
        let last = run(&Scenario::long(), &mut *policy).goodput(520..620);
        assert!(last <= 0.6 * 800.0, "goodput {last} without the probe: it was not needed");
    }
}

#[test]
fn without_a_limit_twice_the_load_is_the_end() {
    let record = twice(&mut NoLimit);
    assert!(record.goodput(DURING) <= 0.02 * 800.0);
    assert_eq!(record.goodput(AFTER), 0.0);
}

#[test]
fn a_queue_in_order_of_arrival_is_as_bad_as_no_limit() {
    let record = twice(&mut fifo(1_000));
    assert!(record.goodput(DURING) <= 0.02 * 800.0);
    assert!(record.started_for_nobody() > 10_000);
    let record = twice(&mut Fifo::new(16, 1_000, Late::Dropped));
    assert!(record.goodput(DURING) <= 0.8 * 800.0, "dropping what is past its deadline is not enough");
}

#[test]
fn what_watches_the_processor_alone_does_not_prevent_the_collapse() {
    let record = twice(&mut GoZero::default());
    assert!(record.goodput(DURING) <= 0.02 * 800.0);
}

#[test]
fn ours_is_no_worse_than_any_peer() {
    let peers: [(&str, Box<dyn Policy>); 5] = [
        ("failsafe", Box::new(Limited::new(20, Gradient2::guarded()))),
        ("fixed", Box::new(Fixed::new(64))),
        ("vegas", Box::new(Limited::new(20, Vegas::new(7)))),
        ("envoy", Box::new(Limited::new(20, Envoy::default()))),
        ("go-zero", Box::new(GoZero::default())),
    ];
    let ours = twice(&mut ours()).goodput(DURING);
    for (name, mut peer) in peers {
        let theirs = twice(&mut *peer).goodput(DURING);
        assert!(ours >= 0.99 * theirs, "{name}: {theirs} against {ours}");
    }
}

#[test]
fn retries_without_a_budget_keep_a_collapse_alive_and_with_ours_it_ends() {
    let after = |retries, policy: &mut dyn Policy| {
        let record = run(&Scenario::spike(retries), policy);
        (record.goodput(60..100), record.amplification(30..100))
    };
    let (goodput, amplification) = after(Retries::Always, &mut fifo(400));
    assert_eq!(goodput, 0.0, "the spike is long over, and it serves nobody, for ever");
    assert!(amplification > 2.9);
    let (goodput, amplification) = after(Retries::Budgeted, &mut fifo(400));
    assert!(goodput >= 0.95 * 600.0, "goodput {goodput}");
    assert!(amplification <= 1.1, "amplification {amplification}");
    let (goodput, _) = after(Retries::Always, &mut ours());
    assert!(goodput >= 0.97 * 600.0, "goodput {goodput}: ours does not even need the budget");
}

#[test]
fn the_budget_bounds_what_clients_add_in_the_worst_of_it() {
    let record =
        run(&Scenario { retries: Retries::Budgeted, ..Scenario::overload("2x", 1_600.0) }, &mut ours());
    let amplification = record.amplification(DURING);
    assert!((1.05..=1.11).contains(&amplification), "amplification {amplification}");
    assert!(record.goodput(DURING) >= 0.95 * 800.0);
}

#[test]
fn at_half_load_the_limit_does_not_grow() {
    let record = run(&Scenario::half_load(), &mut ours());
    assert!(record.greatest_limit(0..600) <= 22, "limit {}", record.greatest_limit(0..600));
    assert_eq!(record.refusals(0..600), 0.0);
    let mut envoy = Limited::new(20, Envoy::default());
    let record = run(&Scenario::half_load(), &mut envoy);
    assert!(record.greatest_limit(0..600) > 500, "Envoy's grows, or this tests nothing");
    assert!(record.refusals(0..600) > 0.0, "and refuses to measure");
}

#[test]
fn work_of_two_lengths_does_not_confuse_it() {
    let bimodal = |rate| Scenario { work: Work::Bimodal, ..Scenario::overload("bimodal", rate) };
    for rate in [1_600.0, 8_000.0] {
        let record = run(&bimodal(rate), &mut ours());
        let goodput = record.goodput(DURING);
        assert!(goodput >= 0.95 * 800.0, "goodput {goodput} at {rate}");
        assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
    }
}

#[test]
fn it_follows_work_that_slowly_grows() {
    let record = run(&Scenario::drift(), &mut ours());
    for minute in [5..60, 60..120] {
        let share = record.share_of_capacity(minute.clone());
        assert!(share >= 0.95, "{share} of the capacity in {minute:?}");
    }
}

#[test]
fn half_of_the_machine_may_vanish_and_come_back() {
    let record = run(&Scenario::halving(), &mut ours());
    let half = record.share_of_capacity(22..60);
    assert!(half >= 0.95, "{half} of what is left");
    assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
}

#[test]
fn a_slow_dependency_needs_more_in_flight_and_gets_it() {
    for (millis, least) in [(20.0, 0.95), (80.0, 0.85)] {
        let deadline = Duration::from_secs(1);
        let dependency = Some((millis, millis));
        let scenario = Scenario { dependency, deadline, ..Scenario::overload("dependency", 1_600.0) };
        let record = run(&scenario, &mut ours());
        let goodput = record.goodput(DURING);
        assert!(goodput >= least * 800.0, "goodput {goodput} with {millis} ms");
        assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
    }
}

#[test]
fn a_dependency_that_slows_down_takes_the_limit_along_and_not_the_service() {
    let scenario = Scenario { dependency: Some((10.0, 80.0)), ..Scenario::overload("dependency", 1_600.0) };
    let ours = run(&scenario, &mut ours());
    // Beside 80 ms of waiting, 200 ms of patience are not enough for all.
    assert!(ours.goodput(DURING) >= 0.8 * 800.0, "goodput {}", ours.goodput(DURING));
    assert!(ours.goodput(AFTER) >= 0.9 * 400.0, "goodput {}", ours.goodput(AFTER));
    let vegas = run(&scenario, &mut Limited::new(20, Vegas::new(7)));
    assert!(vegas.goodput(AFTER) <= 0.6 * 400.0, "Vegas takes the slower dependency for a queue");
}

#[test]
fn one_user_or_ten_thousand_are_served_at_capacity() {
    for users in [1, 10, 1_000, 10_000] {
        for rate in [1_600.0, 8_000.0] {
            let scenario = Scenario { users, ..Scenario::overload("users", rate) };
            let goodput = run(&scenario, &mut ours()).goodput(DURING);
            assert!(goodput >= 0.95 * 800.0, "goodput {goodput} with {users} users at {rate}");
        }
    }
}

#[test]
fn the_most_critical_are_served_and_the_least_are_not_forgotten() {
    for scenario in [Scenario::classes(), Scenario::prefetch_storm()] {
        let record = run(&scenario, &mut ours());
        let share = |class: Criticality| record.share_of_class(class as usize, DURING);
        let most = share(Criticality::CriticalPlus);
        assert!(most >= 0.994, "{}: {most} of the most critical", scenario.name);
        let least = share(Criticality::Sheddable);
        assert!(least > 0.02, "{}: {least} of the least critical", scenario.name);
        assert!(Criticality::ALL.windows(2).all(|pair| share(pair[0]) <= share(pair[1]) + 0.02));
        assert!(record.goodput(DURING) >= 0.95 * 800.0, "{}: {}", scenario.name, record.goodput(DURING));
        assert!(record.recovers_after(60).is_some_and(|seconds| seconds < 2));
    }
    let record = run(&Scenario::classes(), &mut fifo(1_000));
    assert!(record.share_of_class(Criticality::CriticalPlus as usize, DURING) < 0.1);
}

#[test]
fn without_the_reserve_the_least_starve() {
    let flood = Scenario {
        load: vec![(20.0, [100.0; 4]), (60.0, [200.0, 200.0, 1_600.0, 200.0]), (100.0, [100.0; 4])],
        ..Scenario::classes()
    };
    let least = |reserve| {
        let line = line::Config { reserve, ..line::Config::default() };
        let mut stack = Stack::new(Config { line, ..Config::default() });
        stack.watch_cpu = false;
        run(&flood, &mut stack).share_of_class(Criticality::Sheddable as usize, DURING)
    };
    assert!(least(0.0) < 0.01, "{} without a reserve", least(0.0));
    assert!(least(0.05) > 0.1, "{} with it", least(0.05));
}

#[test]
fn the_level_rises_in_the_storm_and_falls_after_it() {
    let mut stack = ours();
    let load = vec![(20.0, critical(400.0)), (60.0, critical(1_600.0)), (200.0, critical(400.0))];
    run(&Scenario { load, ..Scenario::overload("2x", 0.0) }, &mut stack);
    assert_eq!(stack.level(Instant::from_micros(200_000_000)), Level::Normal);
    let mut stack = ours();
    let load = vec![(20.0, critical(400.0)), (60.0, critical(1_600.0))];
    run(&Scenario { load, ..Scenario::overload("2x", 0.0) }, &mut stack);
    assert_eq!(stack.level(Instant::from_micros(60_000_000)), Level::Shed);
}
