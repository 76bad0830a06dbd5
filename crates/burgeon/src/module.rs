//! A module: its routes, its tables, what it offers to other modules, and what it does at its start.

use std::borrow::Cow;
use std::panic::Location;

use burgeon_core::Ctx;
use burgeon_db::Migration;
use burgeon_http::RouteList;

use crate::api::Api;
use crate::parts::{Need, Parts, Running, StartFn};

/// A part of the application with a name of its own. What it owns, nobody else touches; others call its [`Api`].
///
/// A module is made by a function whose arguments are what the module uses; see [`App::module`](crate::App::module).
pub struct Module {
    pub(crate) name: &'static str,
    pub(crate) place: &'static Location<'static>,
    pub(crate) after: Vec<&'static str>,
    pub(crate) migrations: &'static [Migration],
    pub(crate) offers: Vec<Offer>,
    pub(crate) routes: Vec<RouteList>,
    pub(crate) first_starts: Vec<FirstStart>,
    pub(crate) warm_ups: Vec<WarmUp>,
}

/// An API, or a part, that other modules may ask for.
pub(crate) struct Offer {
    pub(crate) name: &'static str,
    /// Puts the handle among the parts, serialised if so asked; says who gave the same type before.
    pub(crate) give: Box<Give>,
}

type Give = dyn FnOnce(&mut Parts, &str, bool) -> Option<String> + Send;

/// Work for the first start of the application on a database.
pub(crate) struct FirstStart {
    pub(crate) name: Cow<'static, str>,
    pub(crate) needs: Vec<Need>,
    pub(crate) run: Box<Run>,
}

/// Work at each start, before the first request.
pub(crate) struct WarmUp {
    pub(crate) needs: Vec<Need>,
    pub(crate) run: Box<Run>,
}

type Run = dyn FnOnce(Ctx, &Parts) -> Running + Send;

impl Module {
    /// A module of this name: it stands before its tables in the list of migrations, and in messages.
    #[track_caller]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            place: Location::caller(),
            after: Vec::new(),
            migrations: &[],
            offers: Vec::new(),
            routes: Vec::new(),
            first_starts: Vec::new(),
            warm_ups: Vec::new(),
        }
    }

    /// Modules whose tables this one's refer to: they are migrated, and fill their tables, before it. A module whose
    /// API this one takes is before it in any case.
    #[must_use]
    pub fn after(mut self, modules: impl IntoIterator<Item = &'static str>) -> Self {
        self.after.extend(modules);
        self
    }

    /// The module's tables, as `migrations!["0001_products.sql", ..]` lists their files.
    #[must_use]
    pub fn migrations(mut self, files: &'static [Migration]) -> Self {
        self.migrations = files;
        self
    }

    /// What other modules may call. They take it as an argument of their module function.
    #[must_use]
    pub fn provides<A: Api>(mut self, api: A) -> Self {
        let give = |parts: &mut Parts, module: &str, serialised: bool| {
            let api = if serialised { api.serialised() } else { api };
            parts.put(api, giver(module))
        };
        self.offers.push(Offer { name: A::NAME, give: Box::new(give) });
        self
    }

    /// What other modules may take by its type as it is, and not by an API: a handle that works in their transaction, say.
    /// It ties them to this module's process and database, so give an [API](Self::provides) wherever that will do.
    #[must_use]
    pub fn shares<T: Clone + Send + Sync + 'static>(mut self, part: T) -> Self {
        let give = |parts: &mut Parts, module: &str, _serialised: bool| parts.put(part, giver(module));
        self.offers.push(Offer { name: std::any::type_name::<T>(), give: Box::new(give) });
        self
    }

    /// What the module answers over HTTP. May be called more than once, for routes with different states.
    #[must_use]
    pub fn routes(mut self, routes: impl Into<RouteList>) -> Self {
        self.routes.push(routes.into());
        self
    }

    /// Work for the first start on an empty database: `async fn(Ctx, Db, ..) -> Result<()>`, for example to fill a
    /// catalog. It runs once for each database, whatever the number of nodes: one node works while the others wait, and
    /// when it is done it is written down. If the process dies before that, the work is begun again from the start.
    #[must_use]
    pub fn first_start<A, F: StartFn<A>>(mut self, name: impl Into<Cow<'static, str>>, work: F) -> Self {
        let run = move |ctx, parts: &Parts| work.start(ctx, parts);
        self.first_starts.push(FirstStart { name: name.into(), needs: F::needs(), run: Box::new(run) });
        self
    }

    /// Work before this node takes its first request, each time that it starts: `async fn(Ctx, Db, ..) -> Result<()>`, for
    /// example to [fill a cache](burgeon_cache::Cache::warm) with what most visitors will ask for. Modules warm up one after the
    /// other, each after those whose APIs it takes. A node waits for all of them together for `app.warm_up_wait`; what fails is
    /// logged, and the node serves without.
    #[must_use]
    pub fn warm_up<A, F: StartFn<A>>(mut self, work: F) -> Self {
        let run = move |ctx, parts: &Parts| work.start(ctx, parts);
        self.warm_ups.push(WarmUp { needs: F::needs(), run: Box::new(run) });
        self
    }
}

/// How a module is named as the giver of a part.
pub(crate) fn giver(module: &str) -> String {
    format!("module `{module}`")
}
