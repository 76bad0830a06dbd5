//! The adaptive limit: permits given and returned by threads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use burgeon_resilience::limit::{Config, Limit};
use burgeon_resilience::{Instant, Outcome};
use loom::thread;

fn at(millis: u64) -> Instant {
    Instant::ORIGIN.plus(Duration::from_millis(millis))
}

#[test]
fn there_are_never_more_permits_than_the_limit_and_all_come_back() {
    loom::model(|| {
        let limit = Limit::new(Config::fixed(1));
        // Of the standard library: loom need not interleave the counting.
        let out = Arc::new(AtomicU32::new(0));
        let call = |limit: Limit, out: Arc<AtomicU32>, settled: bool| {
            move || {
                let Ok(permit) = limit.admit(at(0)) else { return };
                assert_eq!(out.fetch_add(1, Ordering::SeqCst), 0, "two permits of a limit of one");
                out.fetch_sub(1, Ordering::SeqCst);
                if settled { permit.settle(at(1), Outcome::Ok) } else { drop(permit) }
            }
        };
        let other = thread::spawn(call(limit.clone(), Arc::clone(&out), false));
        call(limit.clone(), out, true)();
        other.join().unwrap();
        assert_eq!(limit.view().in_flight, 0);
        assert!(limit.admit(at(2)).is_ok());
    });
}

#[test]
fn two_threads_that_close_a_window_at_once_close_it_once() {
    loom::model(|| {
        let limit = Limit::new(Config { initial: 12, ..Config::default() });
        let permits: Vec<_> = (0..11).map(|_| limit.admit(at(0)).unwrap()).collect();
        let mut permits = permits.into_iter();
        let last = [permits.next().unwrap(), permits.next().unwrap()];
        permits.for_each(|permit| permit.settle(at(10), Outcome::Ok));
        let [one, other] = last;
        let thread = thread::spawn(move || other.settle(at(200), Outcome::Ok));
        one.settle(at(200), Outcome::Ok);
        thread.join().unwrap();
        let view = limit.view();
        assert_eq!(view.in_flight, 0);
        // Ten or eleven calls, of which nine took 10 ms and one or two 200 ms.
        let baseline = view.baseline.as_millis();
        assert!([29, 44].contains(&baseline), "{baseline} ms");
    });
}
