//! The one timer of a connection: armed lazily, asked rarely.
//!
//! A request that comes and goes touches no timer: the timer is moved only when something is due *earlier* than it is
//! set for, and when it fires too early it is set anew. Per turn of the connection that costs one look at the clock.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::progress::{Activity, Progress};

/// How long a kept connection may still bring a request after draining began: its client could not know.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// How long a connection that says good-bye may take for it.
const FAREWELL: Duration = Duration::from_secs(2);

/// The limits of one connection; see `Config`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing happened for too long between requests: say good-bye.
    Close,
    /// The client neither sends nor takes what it should: cut.
    Cut,
}

pin_project! {
    pub(super) struct Timer {
        #[pin]
        sleep: Sleep,
        registered: bool,
        armed: Instant,
        activity: Activity,
        since: Instant,
        // When draining began or good-bye was said.
        draining: Option<Instant>,
        closing: Option<Instant>,
        limits: Limits,
    }
}

impl Timer {
    pub(super) fn new(limits: Limits, activity: Activity) -> Self {
        let now = Instant::now();
        let armed = now + limits.idle;
        let sleep = tokio::time::sleep_until(armed);
        Self { sleep, registered: false, armed, activity, since: now, draining: None, closing: None, limits }
    }

    /// From now on a resting connection is closed soon.
    pub(super) fn drain(self: Pin<&mut Self>) {
        self.project().draining.get_or_insert_with(Instant::now);
    }

    /// From now on the connection has little time to end.
    pub(super) fn closing(self: Pin<&mut Self>) {
        self.project().closing.get_or_insert_with(Instant::now);
    }

    /// Asked after every turn of the connection. Ready says what is due; pending has a wake-up in time for it.
    pub(super) fn poll(mut self: Pin<&mut Self>, progress: &Progress, cx: &mut Context<'_>) -> Poll<Due> {
        let mut this = self.as_mut().project();
        let activity = progress.activity();
        if activity != *this.activity {
            *this.activity = activity;
            *this.since = Instant::now();
        }
        let since = *this.since;
        let (due, at) = match activity {
            Activity::Serving => (Due::Cut, None),
            Activity::Writing(_) => (Due::Cut, Some(since + this.limits.write)),
            Activity::Head(_) => (Due::Cut, Some(since + this.limits.head)),
            Activity::Idle(_) => match (*this.closing, *this.draining) {
                (Some(began), _) => (Due::Cut, Some(began + FAREWELL)),
                (None, Some(began)) => (Due::Close, Some(began.max(since) + LINGER.min(this.limits.idle))),
                (None, None) => (Due::Close, Some(since + this.limits.idle)),
            },
        };
        if *this.registered && !this.sleep.is_elapsed() && at.is_none_or(|at| at >= *this.armed) {
            return Poll::Pending;
        }
        loop {
            let now = Instant::now();
            if at.is_some_and(|at| at <= now) {
                return Poll::Ready(due);
            }
            // Nothing due: look again after a while, since what comes next may be due sooner than that.
            *this.armed = at.unwrap_or(now + this.limits.idle);
            this.sleep.as_mut().reset(*this.armed);
            *this.registered = true;
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
