//! One HTTP/1 request until its response's head: what became of its framing meanwhile, and what the drain adds.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use pin_project_lite::pin_project;

use super::answers::Answers;
use super::connection::{Connection, Serving};
use super::guard::Refusal;
use super::leaving::Leaving;
use super::progress::{Exchange, Progress};
use crate::problem::{PROBLEM_JSON, Problem};
use crate::status_error;

/// The connection around an exchange.
pub(super) struct OnConnection<'a, A> {
    pub(super) serving: &'a Serving<A>,
    pub(super) connection: &'a Connection,
    pub(super) progress: &'a Progress,
}

// By hand: a derived one would want `A: Copy`.
impl<A> Clone for OnConnection<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for OnConnection<'_, A> {}

pin_project! {
    /// A struct and not an `async` block, because such a block holds what it awaits twice.
    pub(super) struct Exchanging<'a, A: Answers> {
        on: OnConnection<'a, A>,
        // None when it was refused before it got here.
        #[pin]
        answering: Option<A::Answering>,
        exchange: Option<Exchange>,
        is_connect: bool,
    }
}

impl<'a, A: Answers> Exchanging<'a, A> {
    pub(super) fn new(
        on: OnConnection<'a, A>,
        answering: Option<A::Answering>,
        exchange: Exchange,
        is_connect: bool,
    ) -> Self {
        Self { on, answering, exchange: Some(exchange), is_connect }
    }
}

impl<A: Answers> Future for Exchanging<'_, A> {
    type Output = Result<Response<Leaving<A::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = match this.answering.as_pin_mut() {
            Some(answering) => Some(ready!(answering.poll(cx))),
            None => None,
        };
        let Some(exchange) = this.exchange.take() else { return Poll::Pending };
        let OnConnection { serving, connection, progress } = *this.on;
        // Or was refused while the handler read its body; then what the handler made of that is not the truth.
        let mut response = match (progress.refusal(), answered) {
            (None, Some(response)) => {
                if opens_tunnel(*this.is_connect, response.status()) {
                    progress.become_tunnel();
                }
                response.map(|body| Leaving::new(body, exchange, None))
            }
            (refusal, answered) => {
                let refusal = refusal.unwrap_or(Refusal::RequestLine);
                serving.counted.refused(refusal);
                tracing::debug!(peer = %connection.peer(), rule = refusal.rule(), "request refused for its framing");
                refuse(&serving.answers, refusal, answered, connection, exchange)
            }
        };
        if serving.drain.has_begun() {
            // Said rather than done: the client may have sent its next request already.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

/// Whether what follows this answer is another protocol's.
fn opens_tunnel(is_connect: bool, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || (is_connect && status.is_success())
}

/// The answer to what the guard refused. Nothing behind it on the connection can be trusted to be a request.
fn refuse<A: Answers>(
    answers: &A,
    refusal: Refusal,
    answered: Option<Response<A::Body>>,
    connection: &Connection,
    exchange: Exchange,
) -> Response<Leaving<A::Body>> {
    let error = status_error(refusal.status(), refusal.sentence());
    let refused = match &answered {
        // Its request has been answered already, so far as log and meters go; only the client must read the truth.
        Some(_) => None,
        None => answers.refuse(&error, refusal.rule(), connection),
    };
    let mut response = match refused {
        Some(refused) => refused.map(|body| Leaving::new(body, exchange, None)),
        None => {
            let id = answered.and_then(|answered| answered.headers().get("x-request-id").cloned());
            let mut problem = Problem::of(&error);
            problem.instance = id.as_ref().and_then(|id| id.to_str().ok()).map(str::to_owned);
            // A problem holds only text and numbers, which always serialise.
            let json = serde_json::to_vec(&problem).unwrap_or_default();
            let mut response = Response::new(Leaving::of_text(json, exchange));
            *response.status_mut() = refusal.status();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(id) = id {
                headers.insert("x-request-id", id);
            }
            response
        }
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
