//! Tags, and everything.

use crate::house::{Origin, house_with};

#[tokio::test(start_paused = true)]
async fn a_tag_takes_all_that_carry_it_and_nothing_else() {
    let house = house_with(|config| config.entries = 20_000);
    let origin = Origin::new(1);
    let cache = house.cache(&origin, |named| named);
    for key in 0..15_000 {
        cache.set_tagged(&house.ctx, &key, u64::from(key), [if key % 2 == 0 { "even" } else { "odd" }]);
    }
    cache.invalidate_tag(&house.ctx, "even");
    for key in 0..15_000 {
        assert_eq!(cache.peek(&key).is_some(), key % 2 == 1, "{key}");
    }
    cache.invalidate_all(&house.ctx);
    assert!((0..15_000).all(|key| cache.peek(&key).is_none()));
    // What comes after is not touched by what came before.
    cache.set_tagged(&house.ctx, &1, 1, ["even"]);
    assert_eq!(cache.peek(&1).as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn no_tombstone_is_forgotten_however_many_follow() {
    let house = house_with(|config| config.jitter = 0.0);
    let origin = Origin::new(1);
    let cache = house.cache(&origin, |named| named);
    cache.set_tagged(&house.ctx, &1, 1, ["doomed"]);
    cache.invalidate_tag(&house.ctx, "doomed");
    for other in 0..200_000 {
        cache.invalidate_tag(&house.ctx, other);
        if other % 50_000 == 0 {
            assert_eq!(cache.peek(&1), None);
        }
    }
    assert_eq!(cache.peek(&1), None);
}
