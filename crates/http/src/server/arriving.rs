//! A request's body on its way in, which may neither pause nor take too long.
//!
//! Its timer belongs to the stream and not to the socket, so it holds for HTTP/2 too, where the socket always moves.
//! A body that is there at once never makes a timer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use burgeon_core::Error;
use burgeon_core::units::format_duration;

use super::progress::Progress;
use crate::{BoxError, status_error};

/// How long a body may pause and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) pause: Duration,
    pub(super) total: Duration,
}

/// What hyper reads from the connection, with a timer for each wait.
pub struct Arriving {
    incoming: Incoming,
    pace: Pace,
    wait: Option<Wait>,
    // None when there is nothing left to read.
    unread: Option<Arc<Progress>>,
}

/// The waits of this body; made at the first one.
struct Wait {
    sleep: Pin<Box<Sleep>>,
    ends: Instant,
    // Whether the timer runs for the wait that is going on, rather than for one that is over.
    runs: bool,
}

impl Arriving {
    pub(super) fn new(incoming: Incoming, pace: Pace, progress: &Arc<Progress>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| progress.clone());
        Self { incoming, pace, wait: None, unread }
    }

    fn late(&self, now: Instant) -> Error {
        let total = self.wait.as_ref().is_some_and(|wait| wait.ends <= now);
        let sentence = if total {
            format!("The body took longer than {}.", format_duration(self.pace.total))
        } else {
            format!("No more of the body arrived for {}.", format_duration(self.pace.pause))
        };
        status_error(StatusCode::REQUEST_TIMEOUT, sentence)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            if let Some(wait) = &mut this.wait {
                wait.runs = false;
            }
            if frame.is_none() || this.incoming.is_end_stream() {
                this.unread = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let pace = this.pace;
        let wait = this.wait.get_or_insert_with(|| {
            let now = Instant::now();
            let sleep = Box::pin(tokio::time::sleep_until(now + pace.pause.min(pace.total)));
            Wait { sleep, ends: now + pace.total, runs: true }
        });
        if !wait.runs {
            wait.runs = true;
            wait.sleep.as_mut().reset((Instant::now() + pace.pause).min(wait.ends));
        }
        match wait.sleep.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(this.late(Instant::now()).into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(progress) = &self.unread {
            progress.leave_unread();
        }
    }
}
