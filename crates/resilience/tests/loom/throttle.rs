use burgeon_resilience::throttle::{Config, Throttle};
use burgeon_resilience::{Instant, Outcome};
use loom::thread;

#[test]
fn one_passes_against_the_chance_in_a_second_and_nothing_is_miscounted() {
    loom::model(|| {
        let throttle = Throttle::new(Config { cap: 1.0, floor: 1, ..Config::default() });
        let now = Instant::from_micros(2_000_000);
        for _ in 0..2 {
            throttle.admit(now, u64::MAX).unwrap().settle(now, Outcome::Fail);
        }
        let racer = throttle.clone();
        let other = thread::spawn(move || racer.admit(now, 0).is_ok());
        let mine = throttle.admit(now, 0).is_ok();
        assert!(mine ^ other.join().unwrap());
        let view = throttle.view(now);
        assert_eq!((view.requests, view.refused), (3, 1));
    });
}
