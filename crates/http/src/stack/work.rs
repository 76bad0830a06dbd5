//! The handler's run: caught when it panics, cut at its deadline, and carried on when its client leaves.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use burgeon_core::{Error, Kind, Result};

use crate::{Connection, Response};

/// A panic becomes an error; its message is for the log. One handler's defect is not its neighbours'.
// Not an `async fn`: that would hold the work twice, as its argument and as what it awaits.
pub(super) fn caught(work: impl Future<Output = Response>) -> impl Future<Output = Result<Response>> {
    AssertUnwindSafe(work).catch_unwind().map(|ended| {
        ended.map_err(|panic| {
            let message = message(&*panic);
            Error::internal(format!("the handler panicked: {message}"))
        })
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

pin_project! {
    /// Work with an end. Its timer is made when the work first has to wait: most work never does.
    pub(super) struct Until<F> {
        #[pin]
        work: F,
        #[pin]
        sleep: Option<Sleep>,
        end: Instant,
    }
}

pub(super) fn until<F: Future<Output = Result<Response>>>(end: Instant, work: F) -> Until<F> {
    Until { work, sleep: None, end }
}

impl<F: Future<Output = Result<Response>>> Future for Until<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response>> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.work.poll(cx) {
            return Poll::Ready(answer);
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(tokio::time::sleep_until(*this.end)));
        }
        match this.sleep.as_pin_mut().map(|sleep| sleep.poll(cx)) {
            Some(Poll::Ready(())) => {
                let unknown = "the handler had not answered; what it did until then stands";
                Poll::Ready(Err(Error::from_source(Kind::Deadline, unknown)))
            }
            _ => Poll::Pending,
        }
    }
}

type Work = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

/// A handler's work. If it shall be finished though nobody waits for it, it goes on in its connection's shelter when it
/// is dropped before its end.
pub(super) struct Run {
    work: Option<Work>,
    alone: Option<(Connection, Instant)>,
}

/// `alone` is where the work goes on without its client, and until when; `None` lets it end with its client.
// Boxed: it moves into the shelter whole, and what is large moves once instead of with every layer around it.
pub(super) fn run(
    work: impl Future<Output = Result<Response>> + Send + 'static,
    alone: Option<(Connection, Instant)>,
) -> Run {
    Run { work: Some(Box::pin(work)), alone }
}

impl Future for Run {
    type Output = Result<Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response>> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let answer = work.as_mut().poll(cx);
        if answer.is_ready() {
            self.work = None;
        }
        answer
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let (Some(work), Some((connection, last))) = (self.work.take(), self.alone.take()) else { return };
        connection.finish_without(async move {
            match tokio::time::timeout_at(last, work).await {
                // Nobody waits for the answer; a panic is a defect all the same.
                Ok(Err(error)) => {
                    tracing::error!(detail = error.detail(), "failed after its client had left")
                }
                Ok(Ok(_)) => {}
                Err(_) => {
                    tracing::warn!("cut: it had not ended at http.timeout_cap, and its client had left")
                }
            }
        });
    }
}
