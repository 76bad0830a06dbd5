//! The composition: how an application is put together, in order, with the reason beside each step.
//!
//! This is the only place where the parts meet. It reads aloud: [`compose`] builds, [`Composed::prepare`] brings the
//! database to where the application needs it, [`Composed::serve`] says what will run. Whoever wants to know what happens
//! at start reads these three.

use std::sync::Arc;

use burgeon_db::Db;
use burgeon_http::{Door, Edge, Keys, Mounts, openapi, probes};
use burgeon_meter::Meters;
use burgeon_runtime::{Health, Lifecycle, Tasks};
use burgeon_telemetry::Telemetry;

use crate::admin::Observed;
use crate::config::Configuration;
use crate::module::FirstStart;
use crate::parts::Parts;
use crate::services::{self, Ports};
use crate::settings::{Sections, Settings};
use crate::{App, Command, Progress, StartError, database, first_start, modules};

/// An application put together: everything is built, nothing serves yet.
pub(crate) struct Composed {
    pub(crate) name: &'static str,
    pub(crate) sections: Sections,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) db: Db,
    pub(crate) parts: Parts,
    pub(crate) commands: Vec<Command>,
    pub(crate) edge: Edge,
    pub(crate) meters: Meters,
    pub(crate) first_starts: Vec<(String, FirstStart)>,
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

/// Builds everything, and changes nothing: no table, no socket.
pub(crate) async fn compose(app: App, settings: Settings) -> Result<Composed, StartError> {
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
    parts.put(tasks, "Burgeon");
    parts.put(meters.clone(), "Burgeon");
    parts.put(health.clone(), "Burgeon");
    parts.put(keys.clone(), "Burgeon");
    parts.put(Progress::new(name), "Burgeon");
    give_sections(&settings, &mut parts)?;

    // Modules, each after those whose APIs it takes.
    let mut modules = modules::build(declared, &mut parts, serialised)?;
    // Whatever runs later is asked now what it needs: a start that will fail should fail here.
    for command in &commands {
        let what = format!("the command `{}`", command.name);
        modules::refuse_missing(&what, command.place, &command.needs, &parts)?;
    }
    let mut first_starts = Vec::new();
    for module in &mut modules {
        for work in std::mem::take(&mut module.first_starts) {
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
    let mut door = Door::new().with_keys(keys).with_body_limit(sections.http.body_limit);
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
    Ok(Composed { name, sections, configuration, lifecycle, db, parts, commands, edge, meters, first_starts })
}

/// The parts of a command that asks for nothing of the application, or `None` when it asks for more.
pub(crate) fn without_database(settings: &Settings, command: &Command) -> Result<Option<(Parts, Tasks)>, StartError> {
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
    /// Brings the database to where this version of the application needs it.
    pub(crate) async fn prepare(&mut self) -> Result<(), StartError> {
        let app = &self.sections.app;
        // First starts last: they fill the tables that the migrations made, through whatever the modules offer.
        if app.first_start {
            let work = std::mem::take(&mut self.first_starts);
            first_start::run(work, &self.db, &self.lifecycle.tasks(), &self.parts, app.turn_wait).await?;
        }
        Ok(())
    }

    /// Says what will run, in the order in which it starts; it stops in reverse.
    pub(crate) fn serve(self, telemetry: Option<Arc<Telemetry>>) -> Serving {
        let Self { name, sections, configuration, lifecycle, db, edge, meters, .. } = self;
        let health = lifecycle.health();
        let observed = Observed { meters, health: health.clone(), telemetry };
        let ports = Arc::new(Ports::default());
        let lifecycle = lifecycle
            // The database closes last: until then somebody may still write down what was done.
            .service(services::database(db.clone()))
            // The probes before the application, so that the platform hears why it is not ready yet.
            .service(services::admin(sections.admin, observed, ports.clone()))
            // The application last in and first out: nobody is let in before everything works.
            .service(services::http(sections.http, edge.clone(), ports.clone()));
        Serving { name, configuration, lifecycle, health, db, edge, ports }
    }
}
