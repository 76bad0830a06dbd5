//! More callers than can be served, a few of them important.

use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Kind, Result};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::within;

/// How some of them fared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fared {
    pub(super) served: u64,
    pub(super) refused: u64,
}

/// Each time somebody asks he has so long.
const BUDGET: Duration = Duration::from_millis(500);

/// For two seconds four important callers and `others` who may be left out ask again and again. Answers how the important ones fared,
/// and how the others did. None is refused but for the crowd, and none long after his time.
pub(super) async fn flood(others: usize, ask: impl AsyncFn(&Ctx) -> Result<String>) -> (Fared, Fared) {
    let important = join_all((0..4).map(|_| go_on(Criticality::CriticalPlus, &ask)));
    let others = join_all((0..others).map(|_| go_on(Criticality::Sheddable, &ask)));
    let (important, others) = tokio::join!(important, others);
    let (important, others) = (sum(&important), sum(&others));
    println!("important: {important:?}; others: {others:?}");
    let Fared { served, refused } = important;
    assert!(served > 0 && refused * 10 < served, "{refused} important ones were refused, {served} served");
    (important, others)
}

async fn go_on(criticality: Criticality, ask: impl AsyncFn(&Ctx) -> Result<String>) -> Fared {
    let mut fared = Fared::default();
    let over = Instant::now() + Duration::from_secs(2);
    while Instant::now() < over {
        let ctx = within(BUDGET).with_criticality(criticality);
        let started = Instant::now();
        match ask(&ctx).await {
            Ok(_) => fared.served += 1,
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Overloaded | Kind::Deadline), "{error:?}");
                fared.refused += 1;
                sleep(Duration::from_millis(5)).await;
            }
        }
        let took = started.elapsed();
        // A machine that stands still for a moment is no fault of a queue; one that nobody leaves is.
        assert!(took < BUDGET + Duration::from_secs(5), "{took:?}");
    }
    fared
}

fn sum(all: &[Fared]) -> Fared {
    all.iter().fold(Fared::default(), |sum, one| Fared {
        served: sum.served + one.served,
        refused: sum.refused + one.refused,
    })
}
