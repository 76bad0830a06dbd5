use std::time::Duration;

use burgeon_resilience::{Refused, Why};

#[test]
fn a_refusal_says_who_and_until_when() {
    let refused = Refused::until(Why::ShedQueue, Duration::from_millis(50));
    assert_eq!(
        refused.to_string(),
        "not started, refused by shed.queue; another try may be admitted in 50ms"
    );
    assert_eq!(Refused::new(Why::Deadline).to_string(), "not started, refused by deadline");
}
