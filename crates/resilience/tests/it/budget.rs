use burgeon_resilience::Instant;
use burgeon_resilience::budget::{Budget, Config, Deposit, Withdrawal};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

#[test]
fn an_upstream_that_is_down_for_a_minute_gets_a_tenth_more_and_not_three_times_as_much() {
    for rate in [1, 10, 100, 1_000] {
        let budget = Budget::new(Config::default());
        let (mut requests, mut extras) = (0u64, 0u64);
        for tick in 0..60 * rate {
            let now = Instant::from_micros(tick * SECOND / rate);
            let request = budget.deposit(now);
            requests += 1;
            // Two more tries each, all of which fail at once.
            extras += (0..2).filter(|_| budget.withdraw(now).is_ok()).count() as u64;
            drop(request);
        }
        assert!(extras <= requests / 10 + 60 * 3, "{extras} extras on {requests} requests");
        assert!(extras >= (requests / 10).min(requests), "the budget gives what it promises: {extras}");
    }
}

#[test]
fn what_piles_up_is_bounded_by_what_is_in_flight() {
    let budget = Budget::new(Config { ratio: 1.0, floor: 1_000, ..Config::default() });
    let now = Instant::from_micros(0);
    let held: Vec<Deposit> = (0..100).map(|_| budget.deposit(now)).collect();
    let extras: Vec<Withdrawal> = (0..100).map_while(|_| budget.withdraw(now).ok()).collect();
    assert_eq!(extras.len(), 20);
    drop(held);
    assert!(budget.withdraw(now).is_err());
    drop(extras);
    let extras: Vec<Withdrawal> = (0..100).map_while(|_| budget.withdraw(now).ok()).collect();
    assert_eq!(extras.len(), 3);
    drop(extras);
    let view = budget.view(now);
    assert_eq!((view.in_flight, view.extras_in_flight), (0, 0));
}

#[test]
fn a_third_is_a_third() {
    // tower's budget truncates 1 / 0.3 to 3, and gives 33 %.
    let budget = Budget::new(Config { ratio: 0.3, floor: 0, in_flight_floor: 1_000, ..Config::default() });
    let now = Instant::from_micros(0);
    (0..1_000).for_each(|_| drop(budget.deposit(now)));
    assert_eq!((0..1_000).filter(|_| budget.withdraw(now).is_ok()).count(), 300);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Deposit,
    Withdraw,
    EndRequest,
    EndExtra,
}

proptest! {
    /// Against lists of all that was sent and all that is in flight.
    #[test]
    fn it_does_what_the_model_does(
        steps in prop::collection::vec(prop_oneof![
            1 => (0u64..2 * SECOND).prop_map(Step::Wait),
            8 => Just(Step::Deposit),
            6 => Just(Step::Withdraw),
            5 => Just(Step::EndRequest),
            4 => Just(Step::EndExtra),
        ], 0..400),
        floor in 0u32..4,
    ) {
        let config = Config { floor, ratio: 0.25, ..Config::default() };
        let budget = Budget::new(config);
        let (mut requests, mut paid, mut free) = (Vec::new(), Vec::new(), Vec::new());
        let (mut in_flight, mut extras) = (Vec::new(), Vec::new());
        let mut now = 0u64;
        for step in steps {
            let moment = Instant::from_micros(now);
            let second = now / SECOND;
            let lately = |list: &Vec<u64>| list.iter().filter(|one| **one + 10 > second).count();
            match step {
                Step::Wait(pause) => now += pause,
                Step::Deposit => {
                    in_flight.push(budget.deposit(moment));
                    requests.push(second);
                }
                Step::Withdraw => {
                    let has_place = extras.len() < 3.max(in_flight.len() / 5);
                    let is_free = free.iter().filter(|one| **one == second).count() < floor as usize;
                    let is_paid = (lately(&paid) + 1) * 4 <= lately(&requests);
                    let got = budget.withdraw(moment).ok();
                    prop_assert_eq!(got.is_some(), has_place && (is_free || is_paid));
                    if got.is_some() {
                        if is_free { free.push(second) } else { paid.push(second) }
                    }
                    extras.extend(got);
                }
                Step::EndRequest => drop(in_flight.pop()),
                Step::EndExtra => drop(extras.pop()),
            }
            let view = budget.view(moment);
            prop_assert_eq!(view.in_flight as usize, in_flight.len());
            prop_assert_eq!(view.extras_in_flight as usize, extras.len());
        }
    }
}
