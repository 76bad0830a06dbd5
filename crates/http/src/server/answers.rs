//! Who answers the requests of a server.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use burgeon_core::{Error, Result};

use super::arriving::Arriving;
use super::connection::Connection;
use crate::stack::Answering;
use crate::{BoxError, Edge};

/// Something that answers requests: a closure, or an [`Edge`].
pub trait Answers: Clone + Send + Sync + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;
    /// An answer in the making. Dropped when the client has left.
    type Answering: Future<Output = Response<Self::Body>> + Send + 'static;

    /// Begins to answer a request.
    fn answer(&self, request: Request<Arriving>, connection: &Connection) -> Self::Answering;

    /// The answer to a head that was refused before it could become a request; `rule` names what it broke. Default:
    /// none of its own, so the server makes a plain one.
    fn refuse(
        &self,
        error: &Error,
        rule: &'static str,
        connection: &Connection,
    ) -> Option<Response<Self::Body>> {
        let _ = (error, rule, connection);
        None
    }

    /// The same for one core, which will have it alone. Default: a clone.
    ///
    /// # Errors
    /// What keeps the server from starting.
    fn for_core(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl<H, F, B> Answers for H
where
    H: Fn(Request<Arriving>, &Connection) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Body = B;
    type Answering = F;

    fn answer(&self, request: Request<Arriving>, connection: &Connection) -> F {
        self(request, connection)
    }
}

impl Answers for Edge {
    type Body = crate::Body;
    type Answering = Answering;

    fn answer(&self, request: Request<Arriving>, connection: &Connection) -> Answering {
        // Without a body there is nothing to watch, and nothing to allocate.
        let body = |body: Arriving| match body.is_end_stream() {
            true => crate::Body::empty(),
            false => crate::Body::new(body),
        };
        self.answer_on(request.map(body), connection)
    }

    fn refuse(&self, error: &Error, rule: &'static str, connection: &Connection) -> Option<crate::Response> {
        Some(self.refuse_unread(error, rule, connection))
    }

    fn for_core(&self) -> Result<Self> {
        self.apart()
    }
}
