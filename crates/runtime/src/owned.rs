//! The future every task is wrapped in: it catches the panic and holds what must be given back at the end.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// A future, and something that is dropped after it, however it ends: completed, panicked or aborted.
    ///
    /// A struct and not an `async` block, because such a block holds its captured future twice.
    pub(crate) struct Owned<F, H> {
        #[pin]
        future: F,
        held: H,
    }
}

impl<F, H> Owned<F, H> {
    pub(crate) fn new(future: F, held: H) -> Self {
        Self { future, held }
    }
}

pin_project_lite::pin_project! {
    /// A future whose output is of no type that its owner must know.
    ///
    /// A struct for the same reason.
    pub(crate) struct Erased<F> {
        #[pin]
        future: F,
    }
}

impl<F> Erased<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F> Future for Erased<F>
where
    F: Future,
    F::Output: Send + 'static,
{
    type Output = Box<dyn Any + Send>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().future.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Box::new(output)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Told of a panic inside an [`Owned`] future.
pub(crate) trait OnPanic {
    fn panicked(&self, message: &str);
}

/// A task ended with a panic; its message.
#[derive(Debug)]
pub(crate) struct Panicked(pub(crate) String);

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

impl<F: Future, H: OnPanic> Future for Owned<F, H> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Sound to assert: a future that panicked is never polled again, it is only dropped.
        match catch_unwind(AssertUnwindSafe(|| this.future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => {
                let message = message_of(payload.as_ref());
                this.held.panicked(&message);
                Poll::Ready(Err(Panicked(message)))
            }
        }
    }
}

/// What a panic said, if it said it in words.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
