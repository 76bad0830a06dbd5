//! The edge of a Burgeon application: from a connection to a handler and back.
//!
//! What this is: the server, the standard stack, routes with their policies, handlers as plain async functions, the one
//! door from an error to a response, signed cookies, static files, health, and the API document derived from the
//! handlers' own types. What it is not: a template engine, or a place for an application's state.
//!
//! # Invariants
//! - A route's policy is known before anything of the request runs.
//! - Every failure leaves through the [`Door`]: logged once, private detail never shown.
//! - No type of axum is in this crate's interface but behind [`Axum`].

mod accept;
mod admin;
mod assets;
mod body;
mod config;
mod cookies;
mod csrf;
mod door;
mod extract;
mod handler;
mod health;
mod interop;
mod keys;
mod octets;
pub mod openapi;
mod page;
mod policy;
mod problem;
mod reply;
mod route;
mod router;
mod schema;
mod server;
mod stack;
mod text;

pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use schemars::{self, JsonSchema};

pub use admin::admin;
pub use assets::Assets;
pub use body::{Body, BoxError, Request, Response};
pub use config::{Config, Cors, Tls};
pub use cookies::{Cookie, Cookies, Flash, Level, Message, SameSite, Session};
pub use csrf::{CSRF_FIELD, Csrf};
pub use door::{Asked, Door, RequestId};
pub use extract::{
    Checks, Extract, ExtractBody, Form, FromState, Head, Input, Json, Path, Peer, Query, Scheme, State,
    Submitted, Valid, ViaBody, ViaHead,
};
pub use handler::{Arguments, Handler};
pub use health::{probes, probes_with_reasons};
pub use interop::{Axum, ViaAxum};
pub use keys::Keys;
pub use policy::{Policy, RouteService};
pub use problem::{PROBLEM_JSON, Problem, status_error, status_of};
pub use reply::{Created, Html, JsonText, NoContent, Redirect, Reply};
pub use route::{Route, RouteInfo, RouteList, Routes, delete, get, patch, post, put, route};
pub use router::{Mounts, Resolved, Router};
pub use server::{Answers, Arriving, Connection, Server};
pub use stack::{Answering, Edge};

/// The tables of this crate: the signing keys. Its module is named `http`.
pub fn migrations() -> &'static [burgeon_db::Migration] {
    burgeon_db::migrations!["0001_keys.sql"]
}
