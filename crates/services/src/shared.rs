//! One Postgres for all tests of a run, whichever process they are in: `cargo nextest` gives each test its own, and a
//! server for each would be most of the time that a run takes.
//!
//! ```text
//!   cargo nextest (or `cargo test`, or a shell): the run
//!     ├─ test ── starts ──▶ sh supervise.sh ── child ──▶ Postgres
//!     │    └─ holds the line open ─────▲
//!     └─ test ── holds the line open ──┘
//! ```
//!
//! A process finds the server by the id of its parent, which is the run: `runs/ID` in the [common
//! directory](template::common_directory) links to the server's directory. There lies the *line*, a named pipe that each
//! process holds open for writing while it lives. The kernel closes it, however the process ends; when nobody holds it any
//! more and the run is over, or has left the server alone for half a minute, the supervising shell ends the server.
//!
//! # Invariants
//!
//! - Runs share nothing: two at once, of two working copies, have a server each.
//! - Who has opened the line is served until he closes it: the shell takes the line away first, then waits for the last.
//! - What a process made is dropped after it has ended, at the latest with the server.
//!
//! # When it breaks
//!
//! A server that dies in the middle of a run is not started again: those tests fail, and their errors say so. A shell that
//! was killed can tell nobody; the next process finds a line without a reader and starts another server.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tokio::net::unix::pipe;

use crate::databases::Databases;
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::template;

/// As many as the tests of a machine with many cores may want at once.
const CONNECTIONS: u16 = 1_000;
/// So many processes' databases are dropped together: each drop writes out what all others have changed.
const DEAD: usize = 8;

/// A process that uses the server of its run.
#[derive(Debug)]
pub(crate) struct Member {
    databases: Databases,
    // Held, never used again: their closing, by whatever end of this process, says that it has gone.
    _line: OwnedFd,
    _mark: File,
    _started: Option<Postgres>,
}

impl Member {
    /// The member that this process is from now on.
    pub(crate) async fn join() -> Result<Member> {
        let run = std::os::unix::process::parent_id();
        let common = template::common_directory()?;
        let runs = common.join("runs");
        fs::create_dir_all(&runs)
            .map_err(|error| Error::io(format!("creating {}", runs.display()), error))?;
        let place = runs.join(run.to_string());

        let lock = template::lock(&common.join("runs.lock")).await?;
        let (line, started) = match open_line(&place)? {
            Some(line) => (line, None),
            None => {
                let started = start(&runs, &place, run).await?;
                let line = open_line(&place)?;
                (line.ok_or_else(|| Error::new("the shared Postgres has gone again"))?, Some(started))
            }
        };
        // From here on it stays.
        let directory =
            place.canonicalize().map_err(|error| Error::io("finding the shared Postgres", error))?;
        let dead = Dead::found(&directory.join("users"))?;
        let (name, mark) = mark(&directory.join("users"))?;
        drop(lock);

        let prefix = format!("test_{name}_");
        let databases = Databases::new(port(&directory)?, Postgres::bin()?, directory, None, prefix);
        dead.drop_databases(&databases).await?;
        Ok(Member { databases, _line: line, _mark: mark, _started: started })
    }

    pub(crate) fn databases(&self) -> &Databases {
        &self.databases
    }
}

/// Takes hold of the line, if there is a server with somebody at its other end.
fn open_line(place: &Path) -> Result<Option<OwnedFd>> {
    let path = place.join("line");
    let context = |error| Error::io(format!("opening {}", path.display()), error);
    let line = match pipe::OpenOptions::new().open_sender(&path) {
        Ok(line) => line.into_blocking_fd().map_err(context)?,
        // Not there, or nobody listens.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NOBODY) => {
            return Ok(None);
        }
        Err(error) => return Err(context(error)),
    };
    // So that the shell knows also of a user who is gone before it looked.
    File::from(line.try_clone().map_err(context)?).write_all(b"\n").map_err(context)?;
    Ok(Some(line))
}

/// ENXIO, on every Unix.
const NOBODY: i32 = 6;

/// Starts the server of this run.
async fn start(runs: &Path, place: &Path, run: u32) -> Result<Postgres> {
    forget_those_that_ended(runs)?;
    let postgres = Postgres::options()
        .max_connections(CONNECTIONS)
        // It has no replicas, and hundreds of databases come and go.
        .setting("wal_keep_size", "0")
        // As with a server that lives for one test: no table is vacuumed or analyzed unless the test asks for it.
        .setting("autovacuum_naptime", "1h")
        .start()
        .await?;
    let directory = postgres.socket_directory();
    {
        let mut process = postgres.process().await;
        process.create_directory("users")?;
        process.share(run).await?;
    }
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io(format!("removing {}", place.display()), error));
        }
        _ => {}
    }
    std::os::unix::fs::symlink(directory, place)
        .map_err(|error| Error::io(format!("linking {}", place.display()), error))?;
    Ok(postgres)
}

/// Removes the links to servers that are no more.
fn forget_those_that_ended(runs: &Path) -> Result<()> {
    let context = |error| Error::io(format!("cleaning {}", runs.display()), error);
    for link in fs::read_dir(runs).map_err(context)? {
        let link = link.map_err(context)?.path();
        if !link.exists() {
            fs::remove_file(&link).map_err(context)?;
        }
    }
    Ok(())
}

/// Line 4 of `postmaster.pid`.
fn port(directory: &Path) -> Result<u16> {
    let path = directory.join("data/postmaster.pid");
    let status = fs::read_to_string(&path).map_err(|error| {
        Error::io(format!("the shared Postgres of this run has ended: reading {}", path.display()), error)
    })?;
    let port = status.lines().nth(3).and_then(|line| line.trim().parse().ok());
    port.ok_or_else(|| Error::new(format!("{} names no port", path.display())))
}

/// A file of this process's own, locked while it lives, by whose name its databases are known.
fn mark(users: &Path) -> Result<(String, File)> {
    // The hasher's random keys are the one source of chance in std. Process ids come again.
    let name = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    let path = users.join(&name);
    let context = |error| Error::io(format!("locking {}", path.display()), error);
    let file = File::create_new(&path).map_err(context)?;
    file.try_lock().map_err(|error| context(error.into()))?;
    Ok((name, file))
}

/// Processes that have ended, and are this one's to clean up after.
struct Dead(Vec<(PathBuf, File)>);

impl Dead {
    /// None, as long as they are few. Under the lock of all runs, so that nobody is
    /// between making and locking his mark.
    fn found(users: &Path) -> Result<Dead> {
        let context = |error| Error::io(format!("reading {}", users.display()), error);
        let mut dead = Vec::new();
        for mark in fs::read_dir(users).map_err(context)? {
            let path = mark.map_err(context)?.path();
            // Gone, or locked: somebody else's.
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                dead.push((path, file));
            }
        }
        Ok(Dead(if dead.len() < DEAD { Vec::new() } else { dead }))
    }

    async fn drop_databases(self, server: &Databases) -> Result<()> {
        let names: Vec<&str> =
            self.0.iter().filter_map(|(path, _)| path.file_name().and_then(|name| name.to_str())).collect();
        if names.is_empty() {
            return Ok(());
        }
        let theirs = format!(
            "select format('drop database if exists %I with (force)', datname) from pg_database where datname ~ '^test_({})_'",
            names.join("|")
        );
        let drops = server.psql("postgres", &theirs).await?;
        let drops: Vec<&str> = drops.lines().collect();
        if !drops.is_empty() {
            server.psql_each("postgres", &drops).await?;
        }
        for (path, _) in &self.0 {
            fs::remove_file(path)
                .map_err(|error| Error::io(format!("removing {}", path.display()), error))?;
        }
        Ok(())
    }
}
