//! Cancellation as a value: a flag one side raises and many can await.

use tokio::sync::watch;

/// Says whether the work is still wanted. Cloning shares the flag; it is raised once and stays raised.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

/// Raises its [`Cancel`] when told to, or when dropped.
#[derive(Debug)]
pub struct CancelGuard {
    raise: watch::Sender<bool>,
    on_drop: bool,
}

impl Cancel {
    /// A flag and the guard that raises it.
    pub fn new() -> (CancelGuard, Cancel) {
        let (raise, flag) = watch::channel(false);
        (CancelGuard { raise, on_drop: true }, Cancel(flag))
    }

    /// A flag that nobody will ever raise.
    pub fn never() -> Cancel {
        let (raise, flag) = watch::channel(false);
        drop(raise);
        Cancel(flag)
    }

    /// Whether the flag is up.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when the flag goes up; never, if its guard was disarmed. Cancel-safe.
    pub async fn cancelled(&self) {
        let mut flag = self.0.clone();
        if flag.wait_for(|raised| *raised).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl CancelGuard {
    /// Raises the flag now.
    pub fn cancel(&self) {
        self.raise.send_replace(true);
    }

    /// Ends the guard without raising the flag: the work came to its end.
    pub fn disarm(mut self) {
        self.on_drop = false;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if self.on_drop {
            self.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_guard_cancels_and_a_disarmed_one_does_not() {
        let (guard, flag) = Cancel::new();
        drop(guard);
        flag.cancelled().await;
        assert!(flag.is_cancelled());

        let (guard, flag) = Cancel::new();
        guard.disarm();
        assert!(!flag.is_cancelled());
        let polled = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::pin!(flag.cancelled()).as_mut().poll(cx).is_pending())
        });
        assert!(polled.await);
    }
}
