//! Routes: values that carry their policy, in a list.
//!
//! A route is one method on one path, its handler, and everything that shall hold for it. Because the policy is on the
//! route's own line, deleting or moving the line cannot move the policy to a neighbour.
//!
//! ```
//! use std::time::Duration;
//! use burgeon_core::Result;
//! use burgeon_http::{Json, Path, Routes, State, get};
//!
//! #[derive(Clone)]
//! struct Greeter { greeting: String }
//!
//! async fn greet(State(greeter): State<Greeter>, Path(name): Path<String>) -> Result<Json<String>> {
//!     Ok(Json(format!("{}, {name}", greeter.greeting)))
//! }
//!
//! let routes = Routes::new(Greeter { greeting: "Hello".into() })
//!     .routes([get("/hello/{name}", greet).timeout(Duration::from_secs(2)).critical()]);
//! assert_eq!(routes.table()[0].path, "/hello/{name}");
//! ```

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use burgeon_core::units::{Size, format_duration};
use burgeon_core::{Criticality, Result};

use crate::door::Door;
use crate::extract::{Head, Known, Params};
use crate::handler::{Arguments, Handler};
use crate::openapi::Operation;
use crate::policy::Policy;
use crate::reply::Reply;
use crate::{Body, Request, Response, csrf};

/// What is known of a route before any request comes.
#[derive(Debug, Clone)]
pub struct RouteInfo {
    /// Dense number within one router, from 0: for tables of meters.
    pub index: usize,
    /// The method. A GET route also answers HEAD.
    pub method: Method,
    /// The whole pattern, with the prefix under which it is mounted.
    pub path: String,
    /// A name for people, meters and the API document: `show_product`. Default: the handler's own.
    pub name: String,
    /// How long an answer may take; `None` means the edge's default.
    pub timeout: Option<Duration>,
    /// Who is served first when there is not enough for all.
    pub criticality: Criticality,
    /// The most bytes a body may have; `None` means the edge's default.
    pub body_limit: Option<Size>,
    /// Whether the work stops when the client leaves; `None` means: GET and HEAD stop, others run to the end.
    pub stop_when_client_leaves: Option<bool>,
    /// Groups of the API document.
    pub tags: Vec<String>,
    /// Whether it is left out of the API document.
    pub hidden: bool,
    /// Policies of other rooms: name and description.
    pub policies: Vec<(String, String)>,
    /// Where it was written.
    pub place: &'static Location<'static>,
}

impl RouteInfo {
    /// Everything that holds for it and differs from the edge's defaults, for people: `timeout 2s`.
    pub fn policy_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(timeout) = self.timeout {
            texts.push(format!("timeout {}", format_duration(timeout)));
        }
        if self.criticality != Criticality::default() {
            texts.push(self.criticality.to_string());
        }
        if let Some(limit) = self.body_limit {
            texts.push(format!("body {limit}"));
        }
        match self.stop_when_client_leaves {
            Some(true) => texts.push("stops when the client leaves".into()),
            Some(false) => texts.push("runs to the end".into()),
            None => {}
        }
        texts.extend(
            self.policies.iter().map(|(name, detail)| format!("{name} {detail}").trim_end().to_owned()),
        );
        texts
    }
}

/// One route on routes with state `S`.
#[must_use = "put it in a list: `Routes::new(state).routes([..])`"]
pub struct Route<S> {
    info: RouteInfo,
    policies: Vec<Policy>,
    describe: Describe,
    bind: Box<dyn FnOnce(Arc<S>) -> Arc<dyn Endpoint> + Send>,
}

pub(crate) type Describe = fn(&mut Operation<'_>);

/// A handler with its state, behind one type.
pub(crate) trait Endpoint: Send + Sync {
    /// Runs it: arguments, handler, answer. What fails inside has become a response.
    fn call(self: Arc<Self>, head: Head, body: Body) -> Answer;

    /// The same handler and state with a count of references of its own, for one core.
    fn apart(&self) -> Arc<dyn Endpoint>;
}

/// What it is going to answer.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// One route, ready to be called.
pub(crate) struct Ready {
    pub(crate) info: Arc<RouteInfo>,
    /// Of the places in its pattern.
    pub(crate) names: Arc<[Arc<str>]>,
    pub(crate) door: Door,
    pub(crate) endpoint: Arc<dyn Endpoint>,
}

impl Ready {
    /// Runs the handler.
    pub(crate) fn call(self: &Arc<Self>, request: Request, params: Params, known: Known) -> Answer {
        let (parts, body) = request.into_parts();
        let head = Head::new(parts, params, known, Arc::clone(self));
        Arc::clone(&self.endpoint).call(head, body)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

/// A plain function and what its routes share.
struct Bind<S, A, M, H> {
    handler: H,
    state: Arc<S>,
    arguments: PhantomData<fn() -> (A, M)>,
}

impl<S, A, M, H> Endpoint for Bind<S, A, M, H>
where
    S: Send + Sync + 'static,
    H: Handler<A>,
    H::Output: Reply,
    A: Arguments<S, M> + 'static,
    M: 'static,
{
    fn call(self: Arc<Self>, mut head: Head, body: Body) -> Answer {
        Box::pin(async move {
            let answered = match csrf::refuse_other_sites(&head) {
                Ok(()) => match A::extract(&mut head, body, &self.state).await {
                    Ok(arguments) => self.handler.call(arguments).await.reply(),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            finish(answered, &head)
        })
    }

    fn apart(&self) -> Arc<dyn Endpoint> {
        let (handler, state) = (self.handler.clone(), Arc::clone(&self.state));
        Arc::new(Self { handler, state, arguments: PhantomData })
    }
}

/// Sets the cookies of what succeeded, and makes a response of what failed.
fn finish(answered: Result<Response>, head: &Head) -> Response {
    let refused = match answered {
        Ok(mut response) => {
            let Some(jar) = &head.jar else { return response };
            match jar.apply(response.headers_mut(), head.door(), head.is_secure()) {
                Ok(()) => return response,
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    head.door().refuse(&refused, &head.asked())
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $method:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name<S, A, M, H>(path: &str, handler: H) -> Route<S>
        where
            S: Send + Sync + 'static,
            H: Handler<A>,
            H::Output: Reply,
            A: Arguments<S, M> + 'static,
            M: 'static,
        {
            route(Method::$method, path, handler)
        }
    )*};
}

methods! {
    /// GET (and HEAD) on `path`. A part in braces is a parameter, `{*rest}` is the rest of the path.
    get GET;
    /// POST on `path`.
    post POST;
    /// PUT on `path`.
    put PUT;
    /// PATCH on `path`.
    patch PATCH;
    /// DELETE on `path`.
    delete DELETE;
}

/// Any method on `path`.
#[track_caller]
pub fn route<S, A, M, H>(method: Method, path: &str, handler: H) -> Route<S>
where
    S: Send + Sync + 'static,
    H: Handler<A>,
    H::Output: Reply,
    A: Arguments<S, M> + 'static,
    M: 'static,
{
    Route {
        info: RouteInfo {
            index: 0,
            method,
            path: path.to_owned(),
            name: name_of::<H>(),
            timeout: None,
            criticality: Criticality::default(),
            body_limit: None,
            stop_when_client_leaves: None,
            tags: Vec::new(),
            hidden: false,
            policies: Vec::new(),
            place: Location::caller(),
        },
        policies: Vec::new(),
        describe: |operation| {
            A::describe(operation);
            H::Output::describe(operation);
        },
        bind: Box::new(move |state| Arc::new(Bind { handler, state, arguments: PhantomData })),
    }
}

/// The last part of the handler's own path: `shop::catalog::show_product` is `show_product`.
fn name_of<H>() -> String {
    let path = std::any::type_name::<H>();
    let path = path.split('<').next().unwrap_or_default();
    // A closure is named after the function around it.
    let path = path.trim_end_matches("::{{closure}}");
    path.rsplit("::").next().unwrap_or_default().to_owned()
}

impl<S> Route<S> {
    /// How long an answer may take. Default: the edge's. What takes longer is answered with 504.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.info.timeout = Some(timeout);
        self
    }

    /// Who is served first when there is not enough for all. Default [`Criticality::Critical`].
    pub fn criticality(mut self, criticality: Criticality) -> Self {
        self.info.criticality = criticality;
        self
    }

    /// Served before everything else: checkout, sign-in.
    pub fn critical(self) -> Self {
        self.criticality(Criticality::CriticalPlus)
    }

    /// The first to be refused under load: prefetches, batch work.
    pub fn sheddable(self) -> Self {
        self.criticality(Criticality::Sheddable)
    }

    /// The most bytes a body may have. Default: the edge's. What is larger is answered with 413.
    pub fn body_limit(mut self, limit: Size) -> Self {
        self.info.body_limit = Some(limit);
        self
    }

    /// Stops the work when the client leaves, also where it changes something. Default: only GET and HEAD stop.
    pub fn stop_when_client_leaves(mut self) -> Self {
        self.info.stop_when_client_leaves = Some(true);
        self
    }

    /// Runs to the end though the client has left, also where it only reads.
    pub fn run_to_the_end(mut self) -> Self {
        self.info.stop_when_client_leaves = Some(false);
        self
    }

    /// A name for people, meters and the API document. Default: the handler's own name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.info.name = name.into();
        self
    }

    /// Puts it into a group of the API document.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.info.tags.push(tag.into());
        self
    }

    /// Leaves it out of the API document.
    pub fn hidden(mut self) -> Self {
        self.info.hidden = true;
        self
    }

    /// A policy of another room, or of the application. The first named is the outermost.
    pub fn with(mut self, policy: Policy) -> Self {
        self.info.policies.push((policy.name().to_owned(), policy.detail().to_owned()));
        self.policies.push(policy);
        self
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.info).finish()
    }
}

/// A list of routes over one state.
#[must_use = "mount it on a router or give it to a module"]
pub struct Routes<S> {
    state: Arc<S>,
    list: RouteList,
}

/// A list of routes whose handlers have their state: what is mounted.
#[must_use = "mount it on a router or give it to a module"]
#[derive(Default)]
pub struct RouteList(pub(crate) Vec<Bound>);

/// A route whose handler has its state.
pub(crate) struct Bound {
    pub(crate) info: RouteInfo,
    pub(crate) policies: Vec<Policy>,
    pub(crate) describe: Describe,
    pub(crate) endpoint: Arc<dyn Endpoint>,
}

impl<S: Send + Sync + 'static> Routes<S> {
    /// No routes yet, over this state. Every request sees the same state, so keep what changes behind handles.
    pub fn new(state: S) -> Self {
        Self { state: Arc::new(state), list: RouteList::default() }
    }

    /// Adds routes.
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route<S>>) -> Self {
        for Route { info, policies, describe, bind } in routes {
            let endpoint = bind(Arc::clone(&self.state));
            self.list.0.push(Bound { info, policies, describe, endpoint });
        }
        self
    }

    /// Adds routes over another state.
    pub fn merge(mut self, others: impl Into<RouteList>) -> Self {
        self.list.0.extend(others.into().0);
        self
    }

    /// Every route with its policies, in order.
    pub fn table(&self) -> Vec<RouteInfo> {
        self.list.table()
    }
}

impl RouteList {
    /// Every route with its policies, in order.
    pub fn table(&self) -> Vec<RouteInfo> {
        self.0.iter().map(|bound| bound.info.clone()).collect()
    }
}

impl<S> From<Routes<S>> for RouteList {
    fn from(routes: Routes<S>) -> Self {
        routes.list
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

impl fmt::Debug for RouteList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|bound| &bound.info)).finish()
    }
}
