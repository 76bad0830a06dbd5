//! The application in processes of its own, to be killed, stopped and restarted.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use burgeon_db::Engine;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::app::variable;
use crate::{Client, database};

/// How [`Processes`] are started.
#[must_use = "start them"]
pub struct ProcessOptions {
    program: PathBuf,
    engine: Engine,
    nodes: usize,
    settings: Vec<(String, String)>,
}

/// Nodes of an application as processes, sharing a database. Dropped, they are killed and their files removed.
pub struct Processes {
    nodes: Vec<Process>,
    url: String,
    directory: TempDir,
}

/// One process.
pub struct Process {
    name: String,
    program: PathBuf,
    directory: PathBuf,
    variables: Vec<(String, String)>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    address: SocketAddr,
}

/// A process that is not ready by then will not be.
const START: Duration = Duration::from_secs(60);
/// More than any drain that a test configures.
const END: Duration = Duration::from_secs(60);

impl ProcessOptions {
    /// The engine. Default SQLite.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// How many processes. Default 1; more only on Postgres.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets a key of the configuration of each.
    pub fn setting(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((variable(key), value.into()));
        self
    }

    /// Starts them, each ready before the next.
    ///
    /// # Panics
    /// When one does not become ready; with what it said.
    pub async fn start(self) -> Processes {
        let Self { program, engine, nodes: count, settings } = self;
        assert!(count > 0 && (count == 1 || engine == Engine::Postgres), "one process owns a SQLite file");
        let directory =
            TempDir::with_prefix("burgeon-test-").unwrap_or_else(|error| panic!("no directory: {error}"));
        let url = database::fresh(engine, directory.path()).await;
        let mut variables: Vec<_> =
            [("database.url", url.as_str()), ("http.port", "0"), ("http.workers", "1"), ("admin.port", "0")]
                .map(|(key, value)| (variable(key), value.to_owned()))
                .into();
        variables.extend(settings);
        let mut nodes = Vec::new();
        for index in 0..count {
            let mut node = Process {
                name: format!("node {index}"),
                program: program.clone(),
                directory: directory.path().to_owned(),
                variables: variables.clone(),
                running: None,
            };
            node.start().await;
            nodes.push(node);
        }
        Processes { nodes, url, directory }
    }
}

impl Processes {
    /// Processes of this binary; of the package under test, `env!("CARGO_BIN_EXE_name")`.
    pub fn of(program: impl Into<PathBuf>) -> ProcessOptions {
        ProcessOptions { program: program.into(), engine: Engine::Sqlite, nodes: 1, settings: Vec::new() }
    }

    /// One of them, from 0.
    ///
    /// # Panics
    /// When there is no such node.
    #[track_caller]
    pub fn node(&mut self, index: usize) -> &mut Process {
        let count = self.nodes.len();
        match self.nodes.get_mut(index) {
            Some(node) => node,
            None => panic!("there is no node {index}; there are {count}"),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The database's URL, for an oracle outside of the application.
    pub fn database_url(&self) -> &str {
        &self.url
    }

    /// Where their files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Process {
    /// A new visitor of this process.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::of(self.address())
    }

    /// Where it listens; a restart may move it.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match &self.running {
            Some(running) => running.address,
            None => panic!("{} does not run", self.name),
        }
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it runs already, or does not become ready; with what it said.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.unwrap_or_else(|error| panic!("{} has no log: {error}", self.name));
        let mut child = Command::new(&self.program)
            .current_dir(&self.directory)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        // The application prints its address when it is ready. The thread ends with the process's output; it also keeps
        // the pipe empty, so that the process never waits for a reader.
        let (found, addresses) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let address = line.trim().strip_prefix("http://").and_then(|rest| rest.split('/').next());
                    if let Some(address) = address.and_then(|address| address.parse::<SocketAddr>().ok()) {
                        // Only the first is asked for.
                        let _ = found.send(address);
                    }
                }
            });
        }
        let began = Instant::now();
        let address = loop {
            match addresses.try_recv() {
                Ok(address) => break address,
                Err(mpsc::TryRecvError::Empty) if began.elapsed() < START => {
                    sleep(Duration::from_millis(5)).await
                }
                Err(_) => {
                    // It may still run; a test must leave nothing behind.
                    let _ = child.kill();
                    let ended =
                        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                    panic!("{} did not become ready ({ended}); it said:\n{}", self.name, self.said());
                }
            }
        };
        self.running = Some(Running { child, address });
    }

    /// `kill -9`: it ends in the middle of whatever it does.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// SIGTERM: it drains. Returns how it ended.
    ///
    /// # Panics
    /// When it does not run, or does not end within a minute.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Sends a signal and does not wait.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = self.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { panic!("{} does not run", self.name) };
        if let Err(error) = kill_process(pid, signal) {
            panic!("{} cannot be told {signal:?}: {error}", self.name);
        }
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub async fn ended(&mut self) -> ExitStatus {
        let Some(mut running) = self.running.take() else { panic!("{} does not run", self.name) };
        let began = Instant::now();
        loop {
            match running.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if began.elapsed() < END => sleep(Duration::from_millis(5)).await,
                Ok(None) => panic!("{} has not ended within {END:?}; it said:\n{}", self.name, self.said()),
                Err(error) => panic!("{} cannot be waited for: {error}", self.name),
            }
        }
    }

    /// Everything it has logged so far, over all its lives.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    fn log(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name.replace(' ', "-")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, most often; then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
