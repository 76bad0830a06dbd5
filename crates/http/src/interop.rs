//! Axum's extractors and responses in our handlers.
//!
//! An axum `Router` is nested with [`Mounts::nest`](crate::Mounts::nest); our [`Router`](crate::Router) is a tower
//! service that nests into axum.

use axum::extract::{FromRequest, FromRequestParts};
use axum::response::IntoResponse;

use burgeon_core::Result;
use burgeon_core::units::Size;

use crate::extract::{Extract, ExtractBody, Head};
use crate::problem::status_error;
use crate::reply::Reply;
use crate::{Body, Response};

/// Any axum extractor as an argument, any axum response as a reply.
///
/// As an argument it sees the state of the routes; it takes the body when it comes last and axum says so.
/// A rejection becomes an error of the same status with the rejection's own sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axum<T>(pub T);

/// Marks an axum extractor that takes the body.
#[derive(Debug, Clone, Copy)]
pub struct ViaAxum<M>(M);

impl<S: Sync, T: FromRequestParts<S> + Send> Extract<S> for Axum<T>
where
    S: Send,
{
    async fn extract(head: &mut Head, state: &S) -> Result<Self> {
        let known = head.known().clone();
        known.tell(&mut head.parts.extensions);
        let taken = T::from_request_parts(&mut head.parts, state).await;
        match taken.map_err(IntoResponse::into_response) {
            Ok(value) => Ok(Axum(value)),
            Err(rejection) => Err(rejected(rejection).await),
        }
    }
}

impl<S, M, T> ExtractBody<S, ViaAxum<M>> for Axum<T>
where
    S: Send + Sync,
    T: FromRequest<S, M> + Send,
{
    async fn extract_body(head: &mut Head, body: Body, state: &S) -> Result<Self> {
        let mut request = http::Request::new(axum::body::Body::new(body));
        *request.method_mut() = head.parts.method.clone();
        *request.uri_mut() = head.parts.uri.clone();
        *request.version_mut() = head.parts.version;
        *request.headers_mut() = head.parts.headers.clone();
        *request.extensions_mut() = head.parts.extensions.clone();
        head.known().tell(request.extensions_mut());
        let taken = T::from_request(request, state).await;
        match taken.map_err(IntoResponse::into_response) {
            Ok(value) => Ok(Axum(value)),
            Err(rejection) => Err(rejected(rejection).await),
        }
    }
}

async fn rejected(response: axum::response::Response) -> burgeon_core::Error {
    let status = response.status();
    let body = Body::new(response.into_body()).read(Size::kib(16)).await.unwrap_or_default();
    let sentence = String::from_utf8_lossy(&body).trim().to_owned();
    let sentence = if sentence.is_empty() { status.to_string() } else { sentence };
    status_error(status, sentence)
}

impl<T: IntoResponse> Reply for Axum<T> {
    fn reply(self) -> Result<Response> {
        Ok(self.0.into_response().map(Body::new))
    }
}
