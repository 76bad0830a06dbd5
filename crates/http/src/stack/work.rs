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
pub(super) async fn caught(work: impl Future<Output = Response>) -> Result<Response> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let message = message(&*panic);
        Error::internal(format!("the handler panicked: {message}"))
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

/// Work that is finished though nobody waits for it: dropped before its end, it goes on in its connection's shelter.
pub(super) struct Finished {
    work: Option<Work>,
    connection: Connection,
    last: Instant,
}

/// `last` bounds the work when it goes on alone.
pub(super) fn finished(
    work: impl Future<Output = Result<Response>> + Send + 'static,
    connection: Connection,
    last: Instant,
) -> Finished {
    Finished { work: Some(Box::pin(work)), connection, last }
}

impl Future for Finished {
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

impl Drop for Finished {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let last = self.last;
        self.connection.finish_without(async move {
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
