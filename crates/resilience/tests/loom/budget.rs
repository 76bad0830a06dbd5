use burgeon_resilience::Instant;
use burgeon_resilience::budget::{Budget, Config};
use loom::thread;

fn race(config: Config, requests: u32) -> usize {
    let budget = Budget::new(config);
    let now = Instant::ORIGIN;
    let held: Vec<_> = (0..requests).map(|_| budget.deposit(now)).collect();
    let other = budget.clone();
    let other = thread::spawn(move || other.withdraw(now).ok());
    let mine = budget.withdraw(now).ok();
    let got = [mine, other.join().unwrap()];
    let count = got.iter().flatten().count();
    assert_eq!(budget.view(now).extras_in_flight as usize, count);
    drop((got, held));
    let view = budget.view(now);
    assert_eq!((view.in_flight, view.extras_in_flight, view.extras as usize), (0, 0, count));
    count
}

#[test]
fn one_token_is_spent_once() {
    loom::model(|| assert_eq!(race(Config { floor: 0, ..Config::default() }, 10), 1));
}

#[test]
fn one_place_in_flight_is_taken_once() {
    loom::model(|| assert_eq!(race(Config { in_flight_floor: 1, ..Config::default() }, 0), 1));
}
