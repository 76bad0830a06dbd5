//! The request's context, its peer, and the plain parts of its head.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Uri};

use burgeon_core::{Ctx, Deadline, Error, Result};

use crate::extract::{Extract, Head};
use crate::openapi::Operation;

/// Who is at the other end of the connection, as far as the edge can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Whether the connection has TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// It has not.
    Http,
    /// It has.
    Https,
}

/// The standard stack makes the context. Without the stack (a router alone in another application) it is a context
/// with the route's own timeout and criticality.
impl<S: Sync> Extract<S> for Ctx {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        // What an extractor has put there knows more than the stack: who asks, for instance.
        if let Some(ctx) = head.extensions().get().or(head.known().ctx.as_ref()) {
            return Ok(ctx.clone());
        }
        let mut ctx = Ctx::background().with_criticality(head.route().criticality);
        if let Some(timeout) = head.route().timeout {
            ctx = ctx.with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), timeout));
        }
        head.known_mut().ctx = Some(ctx.clone());
        Ok(ctx)
    }
}

impl<S: Sync> Extract<S> for Peer {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        head.known().peer.ok_or_else(|| {
            Error::internal(
                "no peer address: the request did not come through a Burgeon server, which records it",
            )
        })
    }
}

impl<S: Sync> Extract<S> for Method {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        Ok(head.method().clone())
    }
}

impl<S: Sync> Extract<S> for Uri {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        Ok(head.uri().clone())
    }
}

impl<S: Sync> Extract<S> for HeaderMap {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        Ok(head.headers().clone())
    }
}

/// `None` when it is not there. An error that is ours, not the client's, stays an error.
impl<S: Sync, T: Extract<S>> Extract<S> for Option<T> {
    async fn extract(head: &mut Head, state: &S) -> Result<Self> {
        match T::extract(head, state).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind().is_ours() => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}
