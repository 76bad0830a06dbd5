//! A request under way: the handler's work, caught when it panics, cut at its deadline, and carried on when its client
//! leaves.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use http::HeaderValue;
use tokio::time::{Instant, Sleep};

use burgeon_core::{Error, Kind};

use super::compression::Encodings;
use super::log::Line;
use super::position::Carried;
use crate::router::Called;
use crate::{Connection, Response};

/// What the client wants, as far as it shapes the answer.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) encodings: Encodings,
    /// The origin of the page that asks.
    pub(super) origin: Option<HeaderValue>,
    /// What it has seen of the database.
    pub(super) carried: Option<Carried>,
}

/// An [`Edge`](crate::Edge)'s answer to one request, in the making. Dropped before that, its client has left: what must be finished goes on in its
/// connection's shelter.
#[must_use = "a request is answered when this is awaited"]
pub struct Answering {
    line: Line,
    wanted: Wanted,
    work: Option<Called>,
    deadline: Instant,
    // Made when the work first has to wait: most work never does.
    sleep: Option<Pin<Box<Sleep>>>,
    // Where the work goes on without its client, and until when; `None` lets it end with its client.
    alone: Option<(Connection, Instant)>,
}

impl Answering {
    pub(super) fn new(
        line: Line,
        work: Called,
        deadline: Instant,
        alone: Option<(Connection, Instant)>,
        wanted: Wanted,
    ) -> Self {
        Self { line, wanted, work: Some(work), deadline, sleep: None, alone }
    }

    /// What has not answered by the deadline is answered for.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(sleep.as_mut().poll(cx));
        self.leave();
        let unknown = "the handler had not answered; what it did until then stands";
        Poll::Ready(self.line.refuse(&Error::from_source(Kind::Deadline, unknown)))
    }

    /// Lets the work go on in its connection's shelter, if it shall be finished though nobody waits for it.
    fn leave(&mut self) {
        let (Some(Called::Begun(work)), Some((connection, last))) = (self.work.take(), self.alone.take())
        else {
            return;
        };
        connection.finish_without(async move {
            match tokio::time::timeout_at(last, AssertUnwindSafe(work).catch_unwind()).await {
                // Nobody waits for the answer; a panic is a defect all the same.
                Ok(Err(panic)) => {
                    tracing::error!(detail = message(&*panic), "panicked after its client had left")
                }
                Ok(Ok(_)) => {}
                Err(_) => {
                    tracing::warn!("cut: it had not ended at http.timeout_cap, and its client had left")
                }
            }
        });
    }
}

impl Future for Answering {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = &mut *self;
        let mut response = match this.work.take() {
            Some(Called::Answered(response)) => *response,
            // A panic becomes an error; its message is for the log. One handler's defect is not its neighbours'. Sound to
            // assert: a future that panicked is never polled again, it is only dropped.
            Some(Called::Begun(mut work)) => {
                match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
                    Ok(Poll::Ready(response)) => response,
                    Ok(Poll::Pending) => {
                        this.work = Some(Called::Begun(work));
                        ready!(this.poll_deadline(cx))
                    }
                    Err(panic) => {
                        let message = format!("the handler panicked: {}", message(&*panic));
                        this.line.refuse(&Error::internal(message))
                    }
                }
            }
            None => return Poll::Pending,
        };
        super::way_out(&mut response, &mut this.line, &this.wanted);
        Poll::Ready(response)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.leave();
    }
}

/// What a panic said, if it said it in words.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
