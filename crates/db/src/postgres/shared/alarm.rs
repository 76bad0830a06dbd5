//! One timer for all the waits of one statement.
//!
//! A timer that is polled once enters the runtime's wheel, and leaves it when it is dropped, each time under the lock that
//! all workers share. A statement that waits for a place and then for its answer would do that twice. Moved to a later time
//! a timer stays where it is until its first one comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// Made by the first wait that does not end at once.
pub(super) type Alarm = Option<Sleep>;

/// Awaits `work` until `at`; `None` when that has passed. The work is pinned by whoever awaits it, so that no future
/// carries it twice.
pub(super) fn by<T>(
    mut alarm: Pin<&mut Alarm>,
    at: Instant,
    mut work: impl Future<Output = T> + Unpin,
) -> impl Future<Output = Option<T>> {
    let at = tokio::time::Instant::from_std(at);
    poll_fn(move |cx| {
        if let Poll::Ready(done) = Pin::new(&mut work).poll(cx) {
            return Poll::Ready(Some(done));
        }
        if alarm.is_none() {
            alarm.set(Some(sleep_until(at)));
        }
        let Some(mut sleep) = alarm.as_mut().as_pin_mut() else { return Poll::Pending };
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.poll(cx).map(|()| None)
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_time_of_each_wait_earlier_or_later() {
        let mut alarm = pin!(None);
        let began = tokio::time::Instant::now();
        let at = |millis| (began + Duration::from_millis(millis)).into_std();
        for millis in [300, 900, 950] {
            assert_eq!(by(alarm.as_mut(), at(millis), std::future::pending::<()>()).await, None);
            assert_eq!(began.elapsed().as_millis(), u128::from(millis));
        }
        // Set to a late time, and needed at an earlier one.
        let soon = pin!(tokio::time::sleep(Duration::from_millis(10)));
        assert_eq!(by(alarm.as_mut(), at(9_000), soon).await, Some(()));
        assert_eq!(by(alarm.as_mut(), at(1_000), std::future::pending::<()>()).await, None);
        assert_eq!(began.elapsed().as_millis(), 1_000);
    }
}
