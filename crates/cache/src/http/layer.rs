//! The cache as a tower layer.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Body, BoxError};
use super::responses::Inside;
use super::visit;

/// Puts a [`Responses`](super::Responses) around a service. Cloning shares the cache.
#[derive(Clone)]
pub struct ResponseLayer(Arc<Inside>);

/// A service behind a [`Responses`](super::Responses).
#[derive(Clone)]
pub struct Cached<S> {
    inside: Arc<Inside>,
    service: S,
}

/// What the bodies of requests must be: empty ones can be made, for loads that no client waits for.
pub trait Asks: http_body::Body + Default + Send + 'static {}
impl<T: http_body::Body + Default + Send + 'static> Asks for T {}

/// What the bodies of responses must be.
pub trait Answers: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}
impl<T: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static> Answers for T {}

/// What is behind the cache: it answers each request, and goes on without the client who asked first.
pub(super) trait Handles<I, O>:
    Service<Request<I>, Response = Response<O>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}
impl<I, O, T> Handles<I, O> for T where
    T: Service<Request<I>, Response = Response<O>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl ResponseLayer {
    pub(super) fn new(inside: Arc<Inside>) -> Self {
        Self(inside)
    }
}

impl<S> Layer<S> for ResponseLayer {
    type Service = Cached<S>;

    fn layer(&self, service: S) -> Cached<S> {
        Cached { inside: self.0.clone(), service }
    }
}

impl<S, I, O> Service<Request<I>> for Cached<S>
where
    S: Service<Request<I>, Response = Response<O>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    I: Asks,
    O: Answers,
{
    type Response = Response<Body<O>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body<O>>, Infallible>> + Send>>;

    /// Always: most requests need nothing of the service behind. Who does, waits for it then.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let answer = visit::answer(self.inside.clone(), self.service.clone(), request);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// Asks the service behind.
pub(super) async fn call<S, I, O>(mut service: S, request: Request<I>) -> Response<O>
where
    S: Handles<I, O>,
{
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
    let answered = match ready {
        Ok(()) => service.call(request).await,
        Err(never) => match never {},
    };
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl fmt::Debug for ResponseLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseLayer").field(&self.0.cache.name()).finish()
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("cache", &self.inside.cache.name()).finish_non_exhaustive()
    }
}
