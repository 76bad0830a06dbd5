use std::time::Duration;

use burgeon_resilience::Instant;
use burgeon_resilience::bulkhead::{Bulkhead, Config, Permit};
use proptest::prelude::*;
use tokio::time::sleep;

fn of(limit: usize) -> Bulkhead {
    Bulkhead::new(Config { limit, ..Config::default() })
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_place_that_becomes_free_and_who_waits_too_long_does_not() {
    let bulkhead = of(1);
    let held = bulkhead.admit().unwrap();
    let long = bulkhead.wait(sleep(Duration::from_secs(2)));
    let short = bulkhead.wait(sleep(Duration::from_millis(500)));
    let ended = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(bulkhead.view().waiting, 1);
        drop(held);
    };
    let (long, short, ()) = tokio::join!(long, short, ended);
    assert!(long.is_ok() && short.is_err());
    assert_eq!(bulkhead.view().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_takes_no_place_with_him() {
    let bulkhead = of(1);
    let held = bulkhead.admit().unwrap();
    {
        let waiting = bulkhead.wait(std::future::pending());
        tokio::select! {
            biased;
            _ = waiting => panic!("there is no place"),
            () = sleep(Duration::from_millis(1)) => {}
        }
    }
    drop(held);
    assert!(bulkhead.admit().is_ok());
    assert_eq!(bulkhead.view().waiting, 0);
}

#[test]
fn a_wait_ends_with_the_deadline() {
    let bulkhead = Bulkhead::new(Config { wait: Duration::from_secs(1), ..Config::default() });
    let [now, soon, late] = [0, 10, 9_000_000].map(Instant::from_micros);
    assert_eq!(bulkhead.until(now, Some(soon)), soon);
    assert_eq!(bulkhead.until(now, Some(late)), Instant::from_micros(1_000_000));
    assert_eq!(bulkhead.until(now, None), Instant::from_micros(1_000_000));
}

#[test]
fn a_limit_of_nothing_is_named_and_means_one() {
    assert!(Config { limit: 0, ..Config::default() }.validate().is_err());
    assert_eq!(Config::default().validate(), Ok(()));
    assert!(of(0).admit().is_ok());
    assert!(of(usize::MAX).admit().is_ok());
}

proptest! {
    #[test]
    fn places_are_conserved(steps in prop::collection::vec(any::<bool>(), 0..200), limit in 1usize..9) {
        let bulkhead = of(limit);
        let mut held: Vec<Permit> = Vec::new();
        for enter in steps {
            if enter {
                let permit = bulkhead.admit();
                prop_assert_eq!(permit.is_ok(), held.len() < limit);
                held.extend(permit);
            } else {
                held.pop();
            }
            prop_assert_eq!(bulkhead.view().in_flight, held.len());
        }
    }
}
