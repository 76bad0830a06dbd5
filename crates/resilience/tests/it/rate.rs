use std::collections::BTreeMap;
use std::time::Duration;

use burgeon_resilience::random::Dice;
use burgeon_resilience::rate::{Config, Limiter, Single};
use burgeon_resilience::{Instant, Why};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

fn of(limit: u32, per: Duration, burst: u32) -> Config {
    Config { limit, per, burst, keys: 64 }
}

#[test]
fn a_refusal_says_exactly_when_and_costs_nothing() {
    let limiter = Limiter::new(of(3, Duration::from_secs(1), 3));
    let now = Instant::from_micros(0);
    assert_eq!(limiter.admit(now, 1, 3).unwrap().remaining, 0);
    for _ in 0..10 {
        let refused = limiter.admit(now, 1, 1).unwrap_err();
        assert_eq!((refused.why, refused.after), (Why::Rate, Some(Duration::from_nanos(333_333_334))));
    }
    assert!(limiter.admit(Instant::from_micros(333_333), 1, 1).is_err());
    assert!(limiter.admit(Instant::from_micros(333_334), 1, 1).is_ok());
    assert_eq!(limiter.admit(now, 1, 4).unwrap_err().after, None, "more than the burst never fits");
}

#[test]
fn any_number_of_keys_fits_into_the_memory_of_64_and_a_busy_one_is_not_forgotten_by_idle_ones() {
    let limiter = Limiter::new(of(10, Duration::from_secs(1), 1));
    let dice = Dice::seeded(9);
    let (mut admitted, busy) = (0, dice.roll());
    for tick in 0..200_000u64 {
        // 100 newcomers in 10 ms: each is whole again after 100 ms, 1,000 of them at a time.
        let now = Instant::from_micros(tick * 100);
        assert!(limiter.admit(now, dice.roll(), 1).is_ok());
        admitted += u32::from(limiter.admit(now, busy, 1).is_ok());
    }
    let view = limiter.view(Instant::from_micros(20 * SECOND));
    assert_eq!(view.capacity, 70);
    assert!(view.keys <= 70 && view.forgotten > 0, "{view:?}");
    // 20 s at ten a second, and what being forgotten in a table 16 times too small gives away.
    assert!(admitted >= 200, "{admitted}");

    let roomy = Limiter::new(Config { keys: 65_536, ..of(10, Duration::from_secs(1), 1) });
    let mut admitted = 0;
    for tick in 0..200_000u64 {
        let now = Instant::from_micros(tick * 100);
        assert!(roomy.admit(now, dice.roll(), 1).is_ok());
        admitted += u32::from(roomy.admit(now, busy, 1).is_ok());
    }
    assert_eq!((admitted, roomy.view(Instant::ORIGIN).forgotten), (200, 0));
}

#[test]
fn senseless_numbers_are_named_and_do_no_harm() {
    for config in [
        of(0, Duration::from_secs(1), 1),
        of(1, Duration::ZERO, 1),
        of(u32::MAX, Duration::from_nanos(1), 1),
        of(1, Duration::MAX, u32::MAX),
        Config { keys: 0, ..Config::default() },
    ] {
        assert!(config.validate().is_err(), "{config:?}");
        let limiter = Limiter::new(config);
        for moment in [0, 1, u64::MAX, 0] {
            for cost in [0, 1, u32::MAX] {
                let _ = limiter.admit(Instant::from_micros(moment), 0, cost);
            }
        }
    }
    assert_eq!(Config::default().validate(), Ok(()));
}

proptest! {
    /// Against exact arithmetic over fractions, and against the promise itself.
    #[test]
    fn it_does_what_the_model_does(
        limit in 1u32..50, millis in 1u64..5_000, burst in 0u32..20,
        steps in prop::collection::vec((0u64..400_000, 0u64..4, 0u32..4), 0..300),
    ) {
        let per = Duration::from_millis(millis);
        let config = of(limit, per, burst);
        let limiter = Limiter::new(config.clone());
        let (single, one_key) = (Single::new(&config), Limiter::new(config.clone()));
        let burst = u128::from(if burst == 0 { limit } else { burst });
        let each = per.as_nanos().div_ceil(u128::from(limit));
        let mut tats: BTreeMap<u64, u128> = BTreeMap::new();
        let mut admitted: BTreeMap<u64, Vec<(u64, u32)>> = BTreeMap::new();
        let mut now = 0;
        for (pause, key, cost) in steps {
            now += pause;
            let nanos = u128::from(now) * 1_000;
            // Distinct sets and equal ones.
            let key = key << 31;
            let tat = tats.entry(key.max(1)).or_default();
            let next = (*tat).max(nanos) + each * u128::from(cost);
            let got = limiter.admit(Instant::from_micros(now), key, cost);
            if next - nanos <= burst * each {
                *tat = next;
                let allowed = got.unwrap();
                prop_assert_eq!(u128::from(allowed.remaining), (burst * each - (next - nanos)) / each);
                prop_assert_eq!(allowed.reset.as_nanos(), next - nanos);
                admitted.entry(key).or_default().push((now, cost));
            } else {
                let after = (u128::from(cost) <= burst).then(|| next - burst * each - nanos);
                prop_assert_eq!(got.unwrap_err().after.map(|after| after.as_nanos()), after);
            }
            let moment = Instant::from_micros(now);
            prop_assert_eq!(single.admit(moment, cost), one_key.admit(moment, 5, cost));
        }
        // In any time t at most burst + t * limit / per.
        for list in admitted.values() {
            for (index, (from, _)) in list.iter().enumerate() {
                let mut sum = 0;
                for (to, cost) in &list[index..] {
                    sum += u128::from(*cost);
                    let time = u128::from(to - from) * 1_000;
                    prop_assert!(sum * per.as_nanos() <= (burst * per.as_nanos()) + time * u128::from(limit));
                }
            }
        }
    }
}
