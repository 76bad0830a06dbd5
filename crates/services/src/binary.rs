//! Where the machine keeps the servers, and what to install where it does not have them.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A program that tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// `postgres`, with `initdb` and `psql` beside it.
    Postgres,
    /// `redis-server`.
    Redis,
    /// `nats-server`.
    Nats,
    /// `pgbouncer`.
    PgBouncer,
    /// A browser without a window, for looking at pages.
    Chromium,
    /// `faketime`, which gives a process another clock.
    Faketime,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 6] = [
        Program::Postgres,
        Program::Redis,
        Program::Nats,
        Program::PgBouncer,
        Program::Chromium,
        Program::Faketime,
    ];

    /// Its name among people.
    pub fn name(self) -> &'static str {
        match self {
            Program::Postgres => "Postgres",
            Program::Redis => "Redis",
            Program::Nats => "NATS",
            Program::PgBouncer => "PgBouncer",
            Program::Chromium => "Chromium",
            Program::Faketime => "faketime",
        }
    }

    /// The package of Debian and Ubuntu that holds it.
    pub fn debian_package(self) -> &'static str {
        match self {
            Program::Postgres => "postgresql",
            Program::Redis => "redis-server",
            Program::Nats => "nats-server",
            Program::PgBouncer => "pgbouncer",
            Program::Chromium => "chromium",
            Program::Faketime => "faketime",
        }
    }

    /// The formula of Homebrew that holds it.
    pub fn homebrew_formula(self) -> &'static str {
        match self {
            Program::Postgres => "postgresql@15",
            Program::Redis => "redis",
            Program::Nats => "nats-server",
            Program::PgBouncer => "pgbouncer",
            Program::Chromium => "--cask chromium",
            Program::Faketime => "libfaketime",
        }
    }

    /// Names of the binary, the preferred one first.
    fn binaries(self) -> &'static [&'static str] {
        match self {
            Program::Postgres => &["postgres"],
            Program::Redis => &["redis-server"],
            Program::Nats => &["nats-server"],
            Program::PgBouncer => &["pgbouncer"],
            Program::Chromium => &["chromium", "chromium-browser", "google-chrome"],
            Program::Faketime => &["faketime"],
        }
    }
}

/// The path of a program's binary: from `PATH`, else from where distributions put it (Debian keeps every version of
/// Postgres outside `PATH`; the newest wins).
///
/// # Errors
///
/// When it is nowhere: what to install, and where was looked.
pub fn find(program: Program) -> Result<PathBuf> {
    let places = places(program);
    search(program, &places).ok_or_else(|| missing(program, &places))
}

fn search(program: Program, places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().find_map(|place| {
        program.binaries().iter().map(|name| place.join(name)).find(|path| is_executable(path))
    })
}

fn missing(program: Program, places: &[PathBuf]) -> Error {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Error::new(format!(
        "{} is not installed: `apt-get install {}` (Debian, Ubuntu) or `brew install {}` (macOS); \
         `cargo xtask test` installs it where it may. Looked for `{}` in {}",
        program.name(),
        program.debian_package(),
        program.homebrew_formula(),
        program.binaries().join("`, `"),
        places.join(", "),
    ))
}

fn places(program: Program) -> Vec<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the machine keeps its programs is not configuration"
    )]
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).filter(|place| place.is_absolute()).collect();
    // Ordinary users of Debian have no sbin in their PATH.
    places.extend(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    if program == Program::Postgres {
        places.extend(versions("/usr/lib/postgresql", "", "bin"));
        places.extend(versions("/usr", "pgsql-", "bin"));
        places.extend(versions("/opt/homebrew/opt", "postgresql@", "bin"));
        places.extend(versions("/usr/local/opt", "postgresql@", "bin"));
    }
    places
}

/// `BASE/PREFIX<number>/BIN`, the highest number first.
fn versions(base: &str, prefix: &str, bin: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(base) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(bin)))
        })
        .collect();
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_what_to_install_and_where_it_was_sought() {
        let nowhere = [PathBuf::from("/nowhere")];
        assert_eq!(search(Program::PgBouncer, &nowhere), None);
        let text = missing(Program::PgBouncer, &nowhere).to_string();
        assert!(text.contains("PgBouncer is not installed: `apt-get install pgbouncer`"), "{text}");
        assert!(text.contains("brew install pgbouncer"), "{text}");
        assert!(text.contains("`pgbouncer` in /nowhere"), "{text}");
    }

    #[test]
    fn the_newest_version_is_preferred_and_a_plain_file_is_no_program() {
        let base = tempfile::tempdir().unwrap();
        for name in ["v9", "v15", "v14", "vold"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        let found = versions(base.path().to_str().unwrap(), "v", "bin");
        assert_eq!(found, ["v15", "v14", "v9"].map(|name| base.path().join(name).join("bin")));

        fs::write(base.path().join("postgres"), "").unwrap();
        assert_eq!(search(Program::Postgres, &[base.path().to_owned()]), None);
    }
}
