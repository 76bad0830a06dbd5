//! Which of two comes first.

use std::pin::Pin;
use std::task::Poll;

/// Who was first; when the right one was, the left one is given back to be waited for.
pub(crate) enum First<'a, L: Future, R: Future> {
    Left(L::Output),
    Right(R::Output, Pin<&'a mut L>),
}

/// Polls the left one first: an answer that comes with the timeout is an answer.
pub(crate) async fn race<'a, L: Future, R: Future>(
    left: Pin<&'a mut L>,
    mut right: Pin<&mut R>,
) -> First<'a, L, R> {
    let mut left = Some(left);
    std::future::poll_fn(move |cx| {
        if let Some(future) = left.as_mut()
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            return Poll::Ready(First::Left(output));
        }
        match (right.as_mut().poll(cx), left.is_some()) {
            (Poll::Ready(output), true) => match left.take() {
                Some(left) => Poll::Ready(First::Right(output, left)),
                None => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    })
    .await
}
