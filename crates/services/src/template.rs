//! An empty Postgres cluster, made once per machine and version: `initdb` costs most of a second of CPU, unpacking
//! what it made a fraction of that.
//!
//! The template is one archive, not a tree, so that a cleaner of old temporary files removes all of it or nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::process::{Process, START};

/// Raised when what `initdb` is asked for changes.
const REVISION: u32 = 1;

/// What the tests of one user share on a machine: templates, port locks, and the shared servers
/// of test runs.
///
/// # Errors
///
/// When the directory exists and belongs to somebody else, who could have put anything there.
pub(crate) fn common_directory() -> Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let path = std::env::temp_dir().join(format!("burgeon-services-{uid}"));
    let context = |error| Error::io(format!("creating {}", path.display()), error);
    match fs::DirBuilder::new().mode(0o755).create(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(context(error)),
        _ => {}
    }
    let meta = fs::symlink_metadata(&path).map_err(context)?;
    if !meta.is_dir() || meta.uid() != uid {
        return Err(Error::new(format!(
            "{} belongs to another user: remove it, or set TMPDIR to a directory of your own",
            path.display()
        )));
    }
    Ok(path)
}

/// Puts a fresh cluster into `data` below the process's directory.
pub(crate) async fn cluster(process: &mut Process, bin: &Path) -> Result<()> {
    let common = common_directory()?;
    let archive = common.join(format!("postgres-{}-{REVISION}.tar", version(bin)?));
    let data = process.directory().join("data");
    // Held to the end of this function: the first makes the template, the others wait for it.
    let _lock = lock(&common.join("template.lock")).await?;
    if archive.exists() {
        let unpacked = process
            .prepare(
                &["tar", "-x", "-f"]
                    .map(OsStr::new)
                    .into_iter()
                    .chain([archive.as_os_str()])
                    .collect::<Vec<_>>(),
            )
            .await;
        if unpacked.is_ok() && data.join("PG_VERSION").exists() {
            return Ok(());
        }
        // Whatever it is, it is no template: make it anew.
        fs::remove_file(&archive)
            .map_err(|error| Error::io(format!("removing {}", archive.display()), error))?;
        process.prepare(&[OsStr::new("rm"), OsStr::new("-rf"), data.as_os_str()]).await?;
    }

    let initdb = bin.join("initdb");
    let options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    let mut command = vec![initdb.as_os_str(), OsStr::new("--pgdata"), data.as_os_str()];
    command.extend(options.map(OsStr::new));
    process.prepare(&command).await?;

    let made = process.directory().join("template.tar");
    process
        .prepare(&[
            OsStr::new("tar"),
            OsStr::new("-c"),
            OsStr::new("-f"),
            made.as_os_str(),
            OsStr::new("data"),
        ])
        .await?;
    let partial = archive.with_extension("partial");
    fs::copy(&made, &partial)
        .and_then(|_| fs::remove_file(&made))
        .and_then(|()| fs::rename(&partial, &archive))
        .map_err(|error| Error::io(format!("keeping {}", archive.display()), error))
}

/// `15.18`, from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version(bin: &Path) -> Result<String> {
    let postgres = bin.join("postgres");
    let said = Command::new(&postgres)
        .arg("--version")
        .output()
        .map_err(|error| Error::io(format!("running {} --version", postgres.display()), error))?;
    let said = String::from_utf8_lossy(&said.stdout);
    let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    version.map(str::to_owned).ok_or_else(|| {
        Error::new(format!("{} --version says {said:?}, which names no version", postgres.display()))
    })
}

/// Holds this file's lock until the value is dropped; waits for whoever else does.
pub(crate) async fn lock(path: &Path) -> Result<File> {
    let context = |error| Error::io(format!("locking {}", path.display()), error);
    let file = File::create(path).map_err(context)?;
    let deadline = Instant::now() + START;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(context(error)),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Error::new(format!(
                    "{} was held by another process for {} s",
                    path.display(),
                    START.as_secs()
                )));
            }
            Err(fs::TryLockError::WouldBlock) => sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}
