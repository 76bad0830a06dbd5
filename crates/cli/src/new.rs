//! `burgeon new`: writes the templates under a name.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::name::Name;

/// What a new application consists of. `{{package}}`, `{{crate}}`, `{{title}}` and the dependencies are filled in.
const FILES: [(&str, &str); 10] = [
    (".gitignore", include_str!("../templates/gitignore")),
    ("Cargo.toml", include_str!("../templates/Cargo.toml.template")),
    ("README.md", include_str!("../templates/README.md")),
    ("burgeon.toml", include_str!("../templates/burgeon.toml")),
    ("migrations/0001_notes.postgres.sql", include_str!("../templates/migrations/0001_notes.postgres.sql")),
    ("migrations/0001_notes.sqlite.sql", include_str!("../templates/migrations/0001_notes.sqlite.sql")),
    ("src/lib.rs", include_str!("../templates/src/lib.rs.template")),
    ("src/main.rs", include_str!("../templates/src/main.rs.template")),
    ("src/notes.rs", include_str!("../templates/src/notes.rs.template")),
    ("tests/it/main.rs", include_str!("../templates/tests/it/main.rs.template")),
];

/// Writes the application into a directory that does not exist yet, and says what it is built against.
///
/// # Errors
/// A sentence; nothing is left behind.
pub(crate) fn create(name: &Name, directory: &Path, burgeon: Option<&Path>) -> Result<Source, String> {
    let source = Source::of(burgeon)?;
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)
            .map_err(|error| format!("{} cannot be made: {error}", parent.display()))?;
    }
    // Made in one step, so that nobody's directory is ever written into.
    fs::create_dir(directory).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!(
                "{} is there already; take another name, or another place with --path DIR",
                directory.display()
            )
        }
        _ => format!("{} cannot be made: {error}", directory.display()),
    })?;
    for (file, template) in FILES {
        let path = directory.join(file);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, filled(template, name, &source)));
        if let Err(error) = written {
            let left = fs::remove_dir_all(directory).err();
            let left = left
                .map_or_else(String::new, |why| format!(" (and what was begun cannot be removed: {why})"));
            return Err(format!("{} cannot be written: {error}{left}", path.display()));
        }
    }
    Ok(source)
}

/// Where the application gets Burgeon from: a checkout, as long as its crates are not published. Then it will be their
/// versions, and a checkout where one is named.
pub(crate) struct Source {
    root: PathBuf,
}

/// Where this command was built.
const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

impl Source {
    fn of(named: Option<&Path>) -> Result<Self, String> {
        let asked = named.unwrap_or(Path::new(BUILT_IN));
        let root = asked.canonicalize();
        let holds = |root: &PathBuf| {
            ["burgeon", "test"].iter().all(|name| root.join("crates").join(name).join("Cargo.toml").is_file())
        };
        match (root, named) {
            (Ok(root), _) if holds(&root) => Ok(Self { root }),
            (Ok(_), Some(named)) => Err(format!(
                "--burgeon-path {} is no checkout of Burgeon: it has no crates/burgeon",
                named.display()
            )),
            (Err(error), Some(named)) => Err(format!("--burgeon-path {}: {error}", named.display())),
            (_, None) => Err(format!(
                "Burgeon is not on crates.io yet, and the checkout that this command was built from is gone ({BUILT_IN}); \
                 name another one: `burgeon new NAME --burgeon-path DIR`"
            )),
        }
    }

    /// A dependency on one of its crates, as a line of Cargo's.
    fn line(&self, name: &str) -> String {
        // As TOML writes text: a path may hold a quote or a backslash.
        format!("{{ path = {:?} }}", self.root.join("crates").join(name))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "built against the Burgeon in {} (it is not on crates.io yet)", self.root.display())
    }
}

fn filled(template: &str, name: &Name, source: &Source) -> String {
    template
        .replace("{{package}}", name.package())
        .replace("{{crate}}", &name.crate_name())
        .replace("{{title}}", &name.title())
        .replace("{{burgeon}}", &source.line("burgeon"))
        .replace("{{burgeon-test}}", &source.line("test"))
}
