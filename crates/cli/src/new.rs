//! `burgeon new`: writes the templates under a name.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

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

/// Writes the application into a directory that does not exist yet.
///
/// # Errors
/// A sentence; nothing is left behind.
pub(crate) fn create(name: &Name, directory: &Path, burgeon: Option<&Path>) -> Result<(), String> {
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
    Ok(())
}

/// Where the application gets Burgeon from, as a line of Cargo's.
struct Source {
    burgeon: String,
    test: String,
}

impl Source {
    fn of(checkout: Option<&Path>) -> Result<Self, String> {
        let Some(checkout) = checkout else {
            let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
            return Ok(Self { burgeon: version.clone(), test: version });
        };
        let root = checkout
            .canonicalize()
            .map_err(|error| format!("--burgeon-path {}: {error}", checkout.display()))?;
        let line = |name: &str| match root.join("crates").join(name).join("Cargo.toml").is_file() {
            // As TOML writes text: a path may hold a quote or a backslash.
            true => Ok(format!("{{ path = {:?} }}", root.join("crates").join(name))),
            false => Err(format!(
                "--burgeon-path {} is no checkout of Burgeon: it has no crates/{name}",
                checkout.display()
            )),
        };
        Ok(Self { burgeon: line("burgeon")?, test: line("test")? })
    }
}

fn filled(template: &str, name: &Name, source: &Source) -> String {
    template
        .replace("{{package}}", name.package())
        .replace("{{crate}}", &name.crate_name())
        .replace("{{title}}", &name.title())
        .replace("{{burgeon}}", &source.burgeon)
        .replace("{{burgeon-test}}", &source.test)
}
