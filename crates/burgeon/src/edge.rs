//! The application's edge: its router as a service, behind a socket or without one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use burgeon_core::{Ctx, Deadline};
use burgeon_http::{Request, Response, Router};

/// Answers requests as the application does on its port, without the port. Cloning shares it.
#[derive(Clone)]
pub struct Edge {
    router: Router,
    timeout: std::time::Duration,
}

impl Edge {
    pub(crate) fn new(router: Router, config: &burgeon_http::Config) -> Self {
        Self { router, timeout: config.timeout }
    }

    /// The response to a request.
    pub async fn answer(&self, mut request: Request) -> Response {
        let resolved = self.router.resolve(&request);
        let route = resolved.route();
        let timeout = route.and_then(|route| route.timeout).unwrap_or(self.timeout);
        let deadline = Deadline::after(tokio::time::Instant::now().into_std(), timeout);
        let mut ctx = Ctx::background().with_deadline(deadline);
        if let Some(route) = route {
            ctx = ctx.with_criticality(route.criticality);
        }
        request.extensions_mut().insert(ctx);
        resolved.call(request).await
    }
}

impl tower::Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let edge = self.clone();
        Box::pin(async move { Ok(edge.answer(request).await) })
    }
}
