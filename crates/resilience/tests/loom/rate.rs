use std::time::Duration;

use burgeon_resilience::Instant;
use burgeon_resilience::rate::{Config, Limiter, Single};
use loom::thread;

fn config() -> Config {
    Config { limit: 1, per: Duration::from_secs(1), burst: 1, keys: 8 }
}

#[test]
fn two_that_meet_a_new_key_in_the_same_instant_get_one_burst() {
    loom::model(|| {
        let limiter = Limiter::new(config());
        let racer = limiter.clone();
        let other = thread::spawn(move || racer.admit(Instant::ORIGIN, 7, 1).is_ok());
        let mine = limiter.admit(Instant::ORIGIN, 7, 1).is_ok();
        assert!(mine ^ other.join().unwrap());
    });
}

#[test]
fn two_new_keys_in_one_set_do_not_share_a_place() {
    loom::model(|| {
        let limiter = Limiter::new(config());
        let racer = limiter.clone();
        let other = thread::spawn(move || racer.admit(Instant::ORIGIN, 7, 1).is_ok());
        assert!(limiter.admit(Instant::ORIGIN, 8, 1).is_ok());
        assert!(other.join().unwrap());
        assert!(
            limiter.admit(Instant::ORIGIN, 7, 1).is_err() && limiter.admit(Instant::ORIGIN, 8, 1).is_err()
        );
    });
}

#[test]
fn one_cell_is_spent_once() {
    loom::model(|| {
        let single = Single::new(&config());
        let racer = single.clone();
        let other = thread::spawn(move || racer.admit(Instant::ORIGIN, 1).is_ok());
        let mine = single.admit(Instant::ORIGIN, 1).is_ok();
        assert!(mine ^ other.join().unwrap());
    });
}
