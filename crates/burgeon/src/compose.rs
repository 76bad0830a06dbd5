//! The composition: how an application is put together, in order, with the reason beside each step.
//!
//! This is the only place where the parts meet. It reads aloud: [`compose`] builds, [`Composed::prepare`] brings the
//! database to where the application needs it, [`Composed::serve`] says what will run. Whoever wants to know what happens
//! at start reads these three.

use std::sync::Arc;

use burgeon_core::{Ctx, Deadline, Error};
use burgeon_db::{Claim, Claimed, Closed, Db, Migrator, State};
use burgeon_http::{Door, Edge, Keys, Mounts, openapi, probes};
use burgeon_meter::Meters;
use burgeon_runtime::{Health, Lifecycle, Tasks};
use burgeon_telemetry::Telemetry;

use crate::admin::Observed;
use crate::config::Configuration;
use crate::module::{FirstStart, WarmUp};
use crate::parts::Parts;
use crate::services::{self, Ports};
use crate::settings::{Sections, Settings};
use crate::together::{Name, Standing, Together};
use crate::{App, Command, Progress, StartError, alone, database, first_start, modules, warm_up};

/// An application put together: everything is built, nothing serves yet.
pub(crate) struct Composed {
    pub(crate) name: &'static str,
    pub(crate) sections: Sections,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) db: Db,
    pub(crate) parts: Parts,
    pub(crate) edge: Edge,
    pub(crate) meters: Meters,
    pub(crate) keys: Keys,
    pub(crate) migrator: Migrator,
    pub(crate) first_starts: Vec<(String, FirstStart)>,
    pub(crate) warm_ups: Vec<(String, WarmUp)>,
    pub(crate) together: Together,
    /// On SQLite: that this is the one process.
    pub(crate) claim: Option<Claim>,
}

/// An application whose doors open when its lifecycle runs.
pub(crate) struct Serving {
    pub(crate) name: &'static str,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) health: Health,
    pub(crate) db: Db,
    pub(crate) edge: Edge,
    pub(crate) ports: Arc<Ports>,
}

/// Builds everything, and changes nothing: no table, no socket. `standing` says what the process will be to the nodes that
/// run already.
pub(crate) async fn compose(
    app: App,
    settings: Settings,
    standing: Standing,
) -> Result<Composed, StartError> {
    let App { name, version, about, modules: declared, commands, error_page, serialised, .. } = app;
    let sections = &settings.sections;

    // Meters come first: whatever is made after them counts from its first moment.
    let meters = Meters::new();
    // The owner of all tasks, and of the order in which things end.
    let lifecycle = Lifecycle::new(sections.runtime.clone(), &meters);
    let (tasks, health) = (lifecycle.tasks(), lifecycle.health());
    // The database before the modules, because they are built around it. It may still be starting itself.
    let db = database::open(&sections.database, &tasks, &meters, sections.app.database_wait).await?;
    // Keys before the modules, because a module may sign with them. They are read when their table is there.
    let keys = Keys::awaiting();

    // What modules may ask for: what is above, and the application's own sections.
    let mut parts = Parts::default();
    parts.put(db.clone(), "Burgeon");
    parts.put(tasks.clone(), "Burgeon");
    parts.put(meters.clone(), "Burgeon");
    parts.put(health.clone(), "Burgeon");
    parts.put(keys.clone(), "Burgeon");
    parts.put(Progress::new(name), "Burgeon");
    give_sections(&settings, &mut parts)?;
    // And what makes this node one of many, as far as somebody asks for it.
    let mut together = Together::new(
        standing,
        &Name { application: name, host: settings.host.clone(), version },
        (&sections.cluster, &sections.cache, &sections.brokers),
        (&db, sections.database.sqlite.shared),
        (&tasks, &meters),
        &mut parts,
    )?;
    let asked = declared.iter().flat_map(|module| &module.needs);
    together.give(asked.chain(commands.iter().flat_map(|command| &command.needs)), &mut parts)?;

    // Modules, each after those whose APIs it takes.
    let mut modules = modules::build(declared, &mut parts, serialised)?;
    // Tables in the order of their modules, the house's own before any other's.
    let mut migrator = Migrator::new()
        .module("burgeon", burgeon_db::migrations!["0001_first_start.sql", "0002_timelines.sql"])
        .module("http", burgeon_http::migrations())
        .module("cluster", burgeon_cluster::migrations())
        .module("cache", burgeon_cache::migrations());
    for module in &modules {
        migrator = migrator.module(module.name, module.migrations).after(module.after.iter().copied());
    }
    // Whatever runs later is asked now what it needs: a start that will fail should fail here.
    for command in &commands {
        let what = format!("the command `{}`", command.name);
        modules::refuse_missing(&what, command.place, &command.needs, &parts)?;
    }
    let (mut first_starts, mut warm_ups) = (Vec::new(), Vec::new());
    for module in &mut modules {
        for work in std::mem::take(&mut module.warm_ups) {
            together.give(work.needs.iter(), &mut parts)?;
            let what = format!("the warm-up of `{}`", module.name);
            modules::refuse_missing(&what, module.place, &work.needs, &parts)?;
            warm_ups.push((module.name.to_string(), work));
        }
        for work in std::mem::take(&mut module.first_starts) {
            together.give(work.needs.iter(), &mut parts)?;
            let what = format!("the first start `{}/{}`", module.name, work.name);
            modules::refuse_missing(&what, module.place, &work.needs, &parts)?;
            first_starts.push((module.name.to_string(), work));
        }
    }

    // Routes after the modules. The router refuses two routes on one path, wherever they were declared.
    let about =
        openapi::Info { title: name.to_owned(), version: version.to_owned(), description: about.to_owned() };
    let mut mounts = Mounts::new().with_document(about).mount("/", probes(&health));
    for routes in modules.iter_mut().flat_map(|module| std::mem::take(&mut module.routes)) {
        mounts = mounts.mount("/", routes);
    }
    let mut door = Door::new()
        .with_keys(keys.clone())
        .with_causal_reads(db.clone())
        .with_body_limit(sections.http.body_limit)
        .with_cors(&sections.http.cors);
    if let Some(page) = error_page {
        door = door.with_page(move |problem, asked| page(problem, asked));
    }
    let router =
        mounts.router(door).map_err(|error| StartError::because("the routes do not fit together", error))?;
    // Around the routes what every request goes through.
    let edge = Edge::new(&sections.http, router, &meters)
        .map_err(|error| StartError::because("the edge cannot be made", error))?;

    let Settings { sections, configuration, .. } = settings;
    let configuration = Arc::new(configuration);
    Ok(Composed {
        name,
        sections,
        configuration,
        lifecycle,
        db,
        parts,
        edge,
        meters,
        keys,
        migrator,
        first_starts,
        warm_ups,
        together,
        claim: None,
    })
}

/// The parts of a command that asks for nothing of the application, or `None` when it asks for more.
pub(crate) fn without_database(
    settings: &Settings,
    command: &Command,
) -> Result<Option<(Parts, Tasks)>, StartError> {
    let meters = Meters::new();
    let tasks = Tasks::with_blocking_limit(&meters, settings.sections.runtime.blocking_threads);
    let mut parts = Parts::default();
    parts.put(tasks.clone(), "Burgeon");
    parts.put(meters, "Burgeon");
    parts.put(Progress::new(command.name), "Burgeon");
    give_sections(settings, &mut parts)?;
    Ok(parts.missing(&command.needs).is_empty().then_some((parts, tasks)))
}

/// The application's own sections, each by its type.
fn give_sections(settings: &Settings, parts: &mut Parts) -> Result<(), StartError> {
    for (section, give) in &settings.gives {
        if let Some(other) = give(&settings.configuration, section, parts) {
            return Err(StartError::new(format!("the section `[{section}]` has the same type as {other}"))
                .and("modules ask for a section by its type, so each needs a type of its own"));
        }
    }
    Ok(())
}

impl Composed {
    /// Makes ready to serve: alone on a SQLite file, and with a database that is where it must be.
    pub(crate) async fn prepare_to_serve(&mut self) -> Result<(), StartError> {
        if let Some(closed) = closed(&self.db).await? {
            return Err(StartError::new(format!("this database is history: {}", closed.sentence()))
                .and(database::remedy(&self.sections.database)));
        }
        self.claim = Some(alone::serve(&self.db, self.sections.app.turn_wait).await?);
        self.prepare().await
    }

    /// Makes ready for a command, which may run beside a process that serves.
    pub(crate) async fn prepare_for(&mut self, command: &str) -> Result<(), StartError> {
        if closed(&self.db).await?.is_some() {
            // History can be read.
            return Ok(());
        }
        match alone::try_claim(&self.db, command)? {
            // Given back at once: a command may run for long, and a server may start meanwhile.
            Claimed::Ours(claim) => {
                self.prepare().await?;
                drop(claim);
                // What it changes must be heard by the nodes that run.
                self.together.refuse_apart().await
            }
            // Whoever serves has brought the database up to date, and is about its first start itself.
            Claimed::Theirs(holder) => {
                self.refuse_pending(&self.patient(), Some(&holder)).await?;
                let keys = self.keys.follow(&self.db, &self.lifecycle.tasks()).await;
                keys.map_err(|error| StartError::because("the signing keys cannot be read", error))
            }
        }
    }

    /// Brings the database to where this version of the application needs it.
    async fn prepare(&mut self) -> Result<(), StartError> {
        let app = &self.sections.app;
        let ctx = self.patient();
        // Tables first: everything after this reads them.
        if app.migrate {
            self.migrate(&ctx).await?;
        } else {
            self.refuse_pending(&ctx, None).await?;
        }
        // Keys as soon as their table is there: a first start may sign something.
        let tasks = self.lifecycle.tasks();
        let keys = self.keys.follow(&self.db, &tasks).await;
        keys.map_err(|error| StartError::because("the signing keys cannot be read", error))?;
        // First starts last: they fill the tables that the migrations made, through whatever the modules offer.
        if app.first_start {
            let work = std::mem::take(&mut self.first_starts);
            // Boxed: it is large, and runs once.
            Box::pin(first_start::run(work, &self.db, &tasks, &self.parts, app.turn_wait)).await?;
        }
        Ok(())
    }

    /// A context for work that may have to wait for another node.
    pub(crate) fn patient(&self) -> Ctx {
        let now = tokio::time::Instant::now().into_std();
        Ctx::background().with_deadline(Deadline::after(now, self.sections.app.turn_wait))
    }

    /// Applies what is pending. A node of an older version, restarted while a newer one is rolled out, serves on.
    async fn migrate(&self, ctx: &Ctx) -> Result<(), StartError> {
        let applied = self.migrator.clone().beside_newer().run(&self.db, ctx).await;
        for step in applied.map_err(|error| self.unmigrated(error))? {
            tracing::info!("migration {step}");
        }
        Ok(())
    }

    /// Why migrations failed, and on which database.
    pub(crate) fn unmigrated(&self, error: Error) -> StartError {
        StartError::because("the database cannot be migrated", error)
            .and(database::remedy(&self.sections.database))
    }

    /// Refuses a database that is behind. `holder` is the process that has the file, where that is why nothing is migrated.
    pub(crate) async fn refuse_pending(&self, ctx: &Ctx, holder: Option<&str>) -> Result<(), StartError> {
        let status = self.migrator.status(&self.db, ctx).await;
        let status = status.map_err(|error| StartError::because("the migrations cannot be read", error))?;
        let behind: Vec<_> = status
            .iter()
            .filter(|step| matches!(step.state, State::Pending | State::Edited { .. }))
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        let refused = StartError::new(format!("the database is behind by {} migrations", behind.len()))
            .and(match holder {
                None => "`app.migrate` is off, so run `migrate` first".to_owned(),
                Some(holder) => {
                    format!("the file is in use ({holder}); stop that first: tables are not changed under a running process")
                }
            });
        Err(behind.iter().fold(refused, |refused, step| refused.and(step.to_string())))
    }

    /// Says what will run, in the order in which it starts; it stops in reverse.
    pub(crate) fn serve(self, telemetry: Option<Arc<Telemetry>>) -> Serving {
        let Self {
            name,
            sections,
            configuration,
            lifecycle,
            db,
            parts,
            edge,
            meters,
            warm_ups,
            together,
            claim,
            ..
        } = self;
        let health = lifecycle.health();
        let observed = Observed { meters, health: health.clone(), telemetry };
        let ports = Arc::new(Ports::default());
        let lifecycle = lifecycle
            // The database closes last: until then somebody may still write down what was done.
            .service(services::database(db.clone(), claim))
            // The probes before the application, so that the platform hears why it is not ready yet.
            .service(services::admin(sections.admin, observed, ports.clone()))
            // Among the other nodes before the application: whoever is let in may change what they keep. It leaves after
            // the last request, while there still is a database to leave from.
            .service(together.service())
            // Only then what is read beforehand: from here on it hears what others change of it.
            .service(warm_up::service(warm_ups, parts, sections.app.warm_up_wait))
            // The application last in and first out: nobody is let in before everything works.
            .service(services::http(sections.http, edge.clone(), ports.clone()));
        Serving { name, configuration, lifecycle, health, db, edge, ports }
    }
}

async fn closed(db: &Db) -> Result<Option<Closed>, StartError> {
    let closed = db.closed(&Ctx::background()).await;
    closed.map_err(|error| StartError::because("the database cannot be read", error))
}
