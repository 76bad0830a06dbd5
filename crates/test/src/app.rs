//! The application under test, its nodes in this process.

use std::sync::Arc;

use burgeon::{App, Ctx, Environment, Node};
use burgeon_db::{Db, Engine};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::client::Target;
use crate::{Client, database};

/// How a [`TestApp`] is started.
#[must_use = "start it"]
pub struct Options {
    app: Make,
    engine: Engine,
    nodes: usize,
    serialised: bool,
    settings: Vec<(String, String)>,
}

type Make = Arc<dyn Fn() -> App + Send + Sync>;

/// An application with a database of its own, its nodes running in this process. Cloning shares it.
///
/// It is a [`Client`] as well: `app.get("/")` is the request of one visitor, which goes to the nodes in turn.
#[derive(Clone)]
pub struct TestApp {
    shared: Arc<Shared>,
    client: Client,
    db: Db,
}

struct Shared {
    app: Make,
    engine: Engine,
    environment: Environment,
    url: String,
    serialised: bool,
    nodes: Mutex<Vec<Option<Node>>>,
    edges: Vec<Target>,
    addresses: Vec<Target>,
    // Removed when the test ends.
    directory: TempDir,
}

impl Options {
    /// The engine. Default SQLite.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// How many nodes. Default 1; more only on Postgres, for one process owns a SQLite file.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets a key of the configuration: `setting("http.timeout", "1s")`.
    pub fn setting(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((variable(key), value.into()));
        self
    }

    /// Calls between modules are direct, as in production. By default they go through serialisation, which finds what
    /// would be lost between processes.
    pub fn with_direct_calls(mut self) -> Self {
        self.serialised = false;
        self
    }

    /// Starts the nodes, one after the other, each ready before the next.
    ///
    /// # Panics
    /// When the application does not start; with its reason.
    pub async fn start(self) -> TestApp {
        let Self { app, engine, nodes: count, serialised, settings } = self;
        assert!(count > 0 && (count == 1 || engine == Engine::Postgres), "one process owns a SQLite file");
        let directory =
            TempDir::with_prefix("burgeon-test-").unwrap_or_else(|error| panic!("no directory: {error}"));
        let url = database::fresh(engine, directory.path()).await;
        let mut environment = environment(directory.path(), &url);
        for (name, value) in settings {
            environment = environment.with(name, value);
        }
        let (mut nodes, mut edges, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let node = start(&app, serialised, &environment).await;
            edges.push(Target::Edge(node.edge().clone()));
            addresses.extend(node.address().map(Target::Socket));
            nodes.push(Some(node));
        }
        let Some(db) = nodes.iter().flatten().next().map(|node| node.db().clone()) else {
            panic!("no node was started")
        };
        let client = Client::new(edges.clone());
        let nodes = Mutex::new(nodes);
        let shared = Shared { app, engine, environment, url, serialised, nodes, edges, addresses, directory };
        TestApp { shared: Arc::new(shared), client, db }
    }
}

/// The surroundings of a node: free ports, one thread, and a pool for a few of its kind.
pub(crate) fn environment(directory: &std::path::Path, url: &str) -> Environment {
    [("database.url", url), ("http.port", "0"), ("http.workers", "1"), ("admin.port", "0")]
        .into_iter()
        .fold(Environment::empty(directory), |environment, (key, value)| {
            environment.with(variable(key), value)
        })
}

/// The variable that sets a key.
pub(crate) fn variable(key: &str) -> String {
    format!("BURGEON__{}", key.replace('.', "__").to_uppercase())
}

async fn start(app: &Make, serialised: bool, environment: &Environment) -> Node {
    let app = app();
    let app = if serialised { app.with_serialised_calls() } else { app };
    app.start(environment).await.unwrap_or_else(|error| panic!("the application did not start: {error}"))
}

impl TestApp {
    /// An application to be started, by the function that makes it: each node is made anew.
    pub fn of(app: impl Fn() -> App + Send + Sync + 'static) -> Options {
        Options {
            app: Arc::new(app),
            engine: Engine::Sqlite,
            nodes: 1,
            serialised: true,
            settings: Vec::new(),
        }
    }

    /// The same visitor, asking node `index` (from 0) alone.
    ///
    /// # Panics
    /// When there is no such node.
    #[track_caller]
    pub fn node(&self, index: usize) -> Client {
        match self.shared.edges.get(index) {
            Some(edge) => self.client.at(vec![edge.clone()]),
            None => panic!("there is no node {index}; there are {}", self.shared.edges.len()),
        }
    }

    /// The same visitor, through sockets.
    pub fn through_sockets(&self) -> Client {
        self.client.at(self.shared.addresses.clone())
    }

    /// Another visitor: cookies of its own.
    pub fn visitor(&self) -> Client {
        Client::new(self.shared.edges.clone())
    }

    /// The application's database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// A context for questions to the database.
    pub fn ctx(&self) -> Ctx {
        Ctx::background()
    }

    /// Holds every statement of the program against the tables there are: each is prepared, none is run. Those that tests
    /// declare themselves are left out: what stands in a folder `src` counts.
    ///
    /// # Panics
    /// When the database does not understand one; with its name, its place and what the engine said.
    pub async fn statements_fit(&self) {
        let wanted = |statement: &burgeon_db::Stmt| {
            let file = statement.place().file;
            file.starts_with("src/") || file.contains("/src/")
        };
        let refused = self.db.unprepared(&self.ctx(), wanted).await;
        let refused =
            refused.unwrap_or_else(|error| panic!("the statements cannot be looked at: {}", error.detail()));
        let told: Vec<String> = refused
            .iter()
            .map(|refused| {
                format!("`{}` ({}): {}", refused.statement.name(), refused.statement.place(), refused.fault)
            })
            .collect();
        assert!(told.is_empty(), "{} does not understand:\n{}", self.engine().name(), told.join("\n"));
    }

    /// Which engine it runs on.
    pub fn engine(&self) -> Engine {
        self.shared.engine
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.shared.edges.len()
    }

    /// The database's URL.
    pub fn database_url(&self) -> &str {
        &self.shared.url
    }

    /// A directory that is removed at the end.
    pub fn directory(&self) -> &std::path::Path {
        self.shared.directory.path()
    }

    /// Starts one more node beside the others, on the same database.
    ///
    /// # Panics
    /// When it does not start, which on SQLite it does not.
    pub async fn another_node(&self) -> Node {
        start(&self.shared.app, self.shared.serialised, &self.shared.environment).await
    }

    /// Drains and stops node `index`, as SIGTERM would.
    ///
    /// # Panics
    /// When it does not stop in order.
    pub async fn stop_node(&self, index: usize) {
        let node = self.shared.nodes.lock().await.get_mut(index).and_then(Option::take);
        if let Some(node) = node {
            node.stop().await.unwrap_or_else(|error| panic!("node {index} did not stop: {}", error.detail()));
        }
    }

    /// Stops every node. The end of a test does this by itself.
    ///
    /// # Panics
    /// When one does not stop in order.
    pub async fn stop(&self) {
        for index in 0..self.nodes() {
            self.stop_node(index).await;
        }
    }
}

impl std::ops::Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
