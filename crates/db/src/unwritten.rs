//! What has been said and is not written yet, and the end of waiting for more of it.
//!
//! [`Increments`](crate::Increments) wait a window long before they write. A database that is about to close ends all
//! windows, and waits for the writes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Of one database: who is about to write, and whether it is time.
pub(crate) struct Unwritten {
    closing: watch::Sender<bool>,
    writers: watch::Sender<usize>,
}

impl Unwritten {
    pub(crate) fn new() -> Self {
        Self { closing: watch::Sender::new(false), writers: watch::Sender::new(0) }
    }

    /// Somebody has something to write, and [`leave`](Self::leave)s when it is written or lost.
    pub(crate) fn enter(&self) {
        self.writers.send_modify(|writers| *writers += 1);
    }

    pub(crate) fn leave(&self) {
        self.writers.send_modify(|writers| *writers -= 1);
    }

    /// Resolves when nobody shall wait for more any longer.
    pub(crate) async fn closing(&self) {
        // The sender is ours, so it does not end.
        drop(self.closing.subscribe().wait_for(|closing| *closing).await);
    }

    /// Ends all windows for good, and waits until everything is written, for at most `limit`. How many still write then.
    pub(crate) async fn flush(&self, limit: Duration) -> usize {
        self.closing.send_replace(true);
        let mut writers = self.writers.subscribe();
        drop(timeout(limit, writers.wait_for(|writers| *writers == 0)).await);
        *self.writers.borrow()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_who_writes_and_not_for_ever() {
        const LIMIT: Duration = Duration::from_secs(5);
        let unwritten = Unwritten::new();
        unwritten.enter();
        unwritten.enter();
        let began = Instant::now();
        let ((), left) = tokio::join!(
            async {
                unwritten.closing().await;
                unwritten.leave();
            },
            unwritten.flush(LIMIT)
        );
        assert_eq!((left, began.elapsed()), (1, LIMIT), "one is stuck");
        unwritten.leave();
        assert_eq!(unwritten.flush(LIMIT).await, 0);
        assert_eq!(began.elapsed(), LIMIT, "nobody was there to wait for");
    }
}
