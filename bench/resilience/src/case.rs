//! What is measured.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use burgeon_resilience::admission::{self, Admission, Cohort, Entry, Priority};
use burgeon_resilience::breaker::{self, Breaker};
use burgeon_resilience::budget::{self, Budget};
use burgeon_resilience::bulkhead::{self, Bulkhead};
use burgeon_resilience::deadline::Gate;
use burgeon_resilience::latency::Latency;
use burgeon_resilience::limit::{self, Limit};
use burgeon_resilience::rate::{self, Limiter, Single};
use burgeon_resilience::throttle::{self, Throttle};
use burgeon_resilience::{Clock, Instant, Outcome};
use failsafe::CircuitBreaker as _;

use crate::pipeline;

/// One thing to measure.
pub struct Case {
    pub name: &'static str,
    /// Whose it is.
    pub peer: &'static str,
    /// The peer's case to compare with.
    pub beside: Option<&'static str>,
    /// The most nanoseconds it may take, alone.
    pub limit: Option<f64>,
    /// Makes the thing, and what makes so many decisions with it.
    pub make: fn() -> Run,
}

pub type Run = Box<dyn Fn(u64) + Sync>;

/// Keys of the limiters with keys.
const KEYS: u64 = 10_000;

const fn ours(name: &'static str, make: fn() -> Run) -> Case {
    Case { name, peer: "burgeon", beside: None, limit: None, make }
}

const fn theirs(name: &'static str, peer: &'static str, make: fn() -> Run) -> Case {
    Case { name, peer, beside: None, limit: None, make }
}

pub fn all() -> Vec<Case> {
    vec![
        Case { limit: Some(100.0), ..ours("breaker", breaker) },
        Case { beside: Some("failsafe breaker"), ..ours("breaker, clock read", breaker_with_clock) },
        theirs("failsafe breaker", "failsafe", failsafe_breaker),
        Case { beside: Some("tower-resilience breaker"), ..ours("breaker, tower layer", pipeline::guarded) },
        theirs("tower-resilience breaker", "tower-resilience", pipeline::tower_resilience),
        Case { limit: Some(100.0), ..ours("rate, 10,000 keys", rate_keyed) },
        Case {
            beside: Some("governor, 10,000 keys"),
            ..ours("rate, 10,000 keys, clock read", rate_keyed_with_clock)
        },
        theirs("governor, 10,000 keys", "governor", governor_keyed),
        Case { limit: Some(100.0), ..ours("rate, single", rate_single) },
        Case { beside: Some("governor, single"), ..ours("rate, single, clock read", rate_single_with_clock) },
        theirs("governor, single", "governor", governor_single),
        Case { limit: Some(100.0), ..ours("adaptive limit", adaptive) },
        ours("admission", admission),
        ours("client throttle", throttle),
        ours("retry budget, deposit", deposit),
        ours("bulkhead", bulkhead),
        ours("deadline gate", gate),
        ours("latency sample", latency),
        ours("clock read alone", clock_alone),
        Case { limit: Some(1_500.0), ..ours("outbound pipeline", pipeline::outbound) },
        ours("service behind it alone", pipeline::bare),
    ]
}

/// Decisions in a time that moves by a microsecond with each, as at a million a second.
fn steps(count: u64, each: impl Fn(Instant, u64)) {
    for number in 0..count {
        each(Instant::from_micros(number), number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

fn clock() -> Clock {
    Clock::starting_at(std::time::Instant::now())
}

fn breaker() -> Run {
    let breaker = Breaker::new(breaker::Config::default());
    Box::new(move |count| {
        steps(count, |now, random| {
            if let Ok(permit) = breaker.admit(black_box(now), random) {
                permit.settle(now, Outcome::Ok);
            }
        });
    })
}

fn breaker_with_clock() -> Run {
    let (breaker, clock) = (Breaker::new(breaker::Config::default()), clock());
    Box::new(move |count| {
        for number in 0..count {
            let now = clock.at(std::time::Instant::now());
            if let Ok(permit) = breaker.admit(now, number) {
                permit.settle(now, Outcome::Ok);
            }
        }
    })
}

fn failsafe_breaker() -> Run {
    // Its two policies together, in the default numbers: a run of failures, or a success rate over a window.
    let breaker = failsafe::Config::new().build();
    Box::new(move |count| {
        for _ in 0..count {
            let _ = black_box(breaker.call(|| black_box(Ok::<(), ()>(()))));
        }
    })
}

fn limits() -> rate::Config {
    rate::Config { limit: 1_000_000, per: Duration::from_secs(1), ..rate::Config::default() }
}

fn quota() -> governor::Quota {
    governor::Quota::per_second(NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN))
}

fn key(number: u64) -> u64 {
    (number % KEYS).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn rate_keyed() -> Run {
    let limiter = Limiter::new(limits());
    Box::new(move |count| {
        for number in 0..count {
            let _ = black_box(limiter.admit(Instant::from_micros(number), key(number), 1));
        }
    })
}

fn rate_keyed_with_clock() -> Run {
    let (limiter, clock) = (Limiter::new(limits()), clock());
    Box::new(move |count| {
        for number in 0..count {
            let now = clock.at(std::time::Instant::now());
            let _ = black_box(limiter.admit(now, key(number), 1));
        }
    })
}

fn governor_keyed() -> Run {
    let limiter = governor::RateLimiter::<u64, _, _>::keyed(quota());
    Box::new(move |count| {
        for number in 0..count {
            let _ = black_box(limiter.check_key(&key(number)));
        }
    })
}

fn rate_single() -> Run {
    let single = Single::new(&limits());
    Box::new(move |count| {
        for number in 0..count {
            let _ = black_box(single.admit(Instant::from_micros(number), 1));
        }
    })
}

fn rate_single_with_clock() -> Run {
    let (single, clock) = (Single::new(&limits()), clock());
    Box::new(move |count| {
        for _ in 0..count {
            let _ = black_box(single.admit(clock.at(std::time::Instant::now()), 1));
        }
    })
}

fn governor_single() -> Run {
    let limiter = governor::RateLimiter::direct(quota());
    Box::new(move |count| {
        for _ in 0..count {
            let _ = black_box(limiter.check());
        }
    })
}

fn adaptive() -> Run {
    let limit = Limit::new(limit::Config::default());
    Box::new(move |count| {
        steps(count, |now, _| {
            if let Ok(permit) = limit.admit(black_box(now)) {
                permit.settle(now.plus_micros(1_000), Outcome::Ok);
            }
        });
    })
}

fn admission() -> Run {
    let admission = Admission::new(admission::Config::default());
    let priority = Priority::new(burgeon_core::Criticality::Critical, Cohort::of(b"someone", 1));
    Box::new(move |count| {
        steps(count, |now, _| {
            if let Ok(Entry::Admitted(permit)) = admission.admit(black_box(now), priority, None) {
                permit.settle(now.plus_micros(1_000), Outcome::Ok);
            }
        });
    })
}

fn throttle() -> Run {
    let throttle = Throttle::new(throttle::Config::default());
    Box::new(move |count| {
        steps(count, |now, random| {
            if let Ok(permit) = throttle.admit(black_box(now), random) {
                permit.settle(now, Outcome::Ok);
            }
        });
    })
}

fn deposit() -> Run {
    let budget = Budget::new(budget::Config::default());
    Box::new(move |count| steps(count, |now, _| drop(budget.deposit(black_box(now)))))
}

fn bulkhead() -> Run {
    let bulkhead = Bulkhead::new(bulkhead::Config::default());
    Box::new(move |count| (0..count).for_each(|_| drop(black_box(bulkhead.admit()))))
}

fn gate() -> Run {
    let latency = Latency::new();
    (0..1_000).for_each(|_| latency.record(Instant::ORIGIN, Duration::from_millis(1)));
    let gate = Gate::new(latency);
    Box::new(move |count| {
        steps(count, |now, _| {
            let _ = black_box(gate.admit(black_box(now), Some(now.plus_micros(1_000_000))));
        });
    })
}

fn latency() -> Run {
    let latency = Latency::new();
    Box::new(move |count| {
        steps(count, |now, random| latency.record(black_box(now), Duration::from_micros(random >> 50)));
    })
}

fn clock_alone() -> Run {
    let clock = clock();
    Box::new(move |count| {
        for _ in 0..count {
            black_box(clock.at(std::time::Instant::now()));
        }
    })
}
