//! The application as its author declares it: a name, modules, sections of configuration, commands.

use std::panic::Location;
use std::process::ExitCode;
use std::sync::Arc;

use burgeon_core::Result;
use burgeon_http::{Asked, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Configuration, Section};
use crate::parts::{ModuleFn, Need, Parts};
use crate::{Command, Environment, Module, Node, StartError, node, verbs};

/// An application: what it is made of, in the order in which it is put together.
///
/// ```no_run
/// use std::process::ExitCode;
/// use burgeon::prelude::*;
///
/// async fn hello(ctx: Ctx, State(db): State<Db>) -> Result<String> {
///     let now: String = sql!("now", sqlite: "select datetime()", postgres: "select now()::text").one(&db.read(&ctx)).await?;
///     Ok(format!("Hello. The database says it is {now}."))
/// }
///
/// fn module(db: Db) -> Module {
///     Module::new("hello").routes(Routes::new(db).routes([get("/", hello)]))
/// }
///
/// fn main() -> ExitCode {
///     App::new("hello").module(module).run()
/// }
/// ```
pub struct App {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) about: &'static str,
    pub(crate) sections: Vec<OwnSection>,
    pub(crate) renamed: Vec<(String, String)>,
    pub(crate) modules: Vec<Declared>,
    pub(crate) commands: Vec<Command>,
    pub(crate) error_page: Option<Arc<ErrorPage>>,
    pub(crate) serialised: bool,
}

/// Makes the page that a browser shows for a problem.
pub(crate) type ErrorPage = dyn Fn(&Problem, &Asked) -> String + Send + Sync;

/// A section of the application's own, and how its value becomes a part that modules may ask for.
pub(crate) struct OwnSection {
    pub(crate) section: Section,
    pub(crate) place: &'static Location<'static>,
    pub(crate) give: Give,
}

/// Puts a section's value among the parts; says who gave the same type before.
pub(crate) type Give = fn(&Configuration, &str, &mut Parts) -> Option<String>;

/// A module function that has not been called yet.
pub(crate) struct Declared {
    /// The function's path: `shop::catalog::module`.
    pub(crate) function: &'static str,
    pub(crate) place: &'static Location<'static>,
    pub(crate) needs: Vec<Need>,
    pub(crate) build: Box<Build>,
}

pub(crate) type Build = dyn FnOnce(&Parts) -> Result<Module> + Send;

impl App {
    /// An application of this name: in `--help`, in logs, and as the name of its SQLite file, should nothing else be
    /// said.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            version: "0.0.0",
            about: "",
            sections: Vec::new(),
            renamed: Vec::new(),
            modules: Vec::new(),
            commands: Vec::new(),
            error_page: None,
            serialised: false,
        }
    }

    /// The application's version, for `--version` and the API document: `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// A sentence on what the application is, for `--help` and the API document.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Adds a module, by the function that makes it.
    ///
    /// The function's arguments say what the module uses, by type, up to eight: `Db`, `Tasks`, `Meters`, `Keys`,
    /// `Health`, a section given to [`config`](Self::config), another module's API. A module is built after those
    /// whose APIs it takes; what nobody provides is named at start.
    #[must_use]
    #[track_caller]
    pub fn module<A, F: ModuleFn<A>>(mut self, module: F) -> Self {
        self.modules.push(Declared {
            function: std::any::type_name::<F>(),
            place: Location::caller(),
            needs: F::needs(),
            build: Box::new(move |parts| module.build(parts)),
        });
        self
    }

    /// Adds a section of the configuration, `[name]`, read as `T`. Modules and commands ask for it by its type.
    ///
    /// Its keys are the fields of `T`, its defaults those of `T::default()`; derive `Serialize` and `Deserialize` with
    /// `#[serde(default)]`.
    #[must_use]
    #[track_caller]
    pub fn config<T>(self, name: &'static str) -> Self
    where
        T: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static,
    {
        self.checked_config::<T>(name, |_| Ok(()))
    }

    /// As [`config`](Self::config), refused at start when `check` returns a sentence: which key, and what to do.
    #[must_use]
    #[track_caller]
    pub fn checked_config<T>(mut self, name: &'static str, check: fn(&T) -> Result<(), String>) -> Self
    where
        T: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static,
    {
        self.sections.push(OwnSection {
            section: Section::new::<T>(name, check),
            place: Location::caller(),
            give: |configuration, name, parts| {
                let value = configuration.section::<T>(name)?;
                parts.put(value, format!("the configuration section `[{name}]`"))
            },
        });
        self
    }

    /// Says that a key of the configuration has another name now: who still uses the old one is told the new.
    #[must_use]
    pub fn renamed(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.renamed.push((old.into(), new.into()));
        self
    }

    /// Adds a verb to the application's binary.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    /// Replaces the page that browsers see when a request failed. The result is HTML.
    #[must_use]
    pub fn error_page(mut self, page: impl Fn(&Problem, &Asked) -> String + Send + Sync + 'static) -> Self {
        self.error_page = Some(Arc::new(page));
        self
    }

    /// Forces every call between modules through serialisation, as if each ran in a process of its own. Tests do this.
    #[must_use]
    pub fn with_serialised_calls(mut self) -> Self {
        self.serialised = true;
        self
    }

    /// Does what the command line says: serves, when it says nothing. The last line of `main`.
    ///
    /// Returns success; 2 when command line or configuration are wrong; 1 when anything else failed; 128 and the
    /// signal's number when a second signal ended a drain.
    pub fn run(self) -> ExitCode {
        verbs::run(self, &Environment::of_process())
    }

    /// Starts the application inside this process, without a command line: migrations, first starts, all services.
    /// It is ready when this returns.
    ///
    /// # Errors
    /// What stood in the way, in words; nothing is left running.
    pub async fn start(self, environment: &Environment) -> Result<Node, StartError> {
        node::start(self, environment).await
    }
}
