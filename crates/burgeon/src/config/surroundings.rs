//! The layers above the file: variables, files that variables name, and systemd credentials.

use std::io::Read as _;
use std::path::Path;

use super::Known;
use super::problem::{Problem, did_you_mean};
use super::tree::{Node, Origin, Value};
use crate::Environment;

/// What every hosting platform already sets, and the key it stands for.
pub(super) const CONVENTIONS: [(&str, &str); 2] = [("DATABASE_URL", "database.url"), ("PORT", "http.port")];

const PREFIX: &str = "BURGEON__";
/// A secret is short; whatever is longer is the wrong file.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Lays variables, named files and credentials over the tree, the stronger later.
pub(super) fn lay_over(
    tree: &mut Node,
    environment: &Environment,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) {
    for (variable, key) in CONVENTIONS {
        // Set but empty is how a shell script says "not given".
        if let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) {
            put(tree, key, Value::Loose(value.to_owned()), Origin::Variable(variable.to_owned()));
        }
    }
    for (variable, value) in environment.variables() {
        if let Some(path) = variable.strip_prefix(PREFIX) {
            let key = path.to_lowercase().replace("__", ".");
            if file_of(&key, known).is_none() {
                put(tree, &key, Value::Loose(value.to_owned()), Origin::Variable(variable.to_owned()));
            }
        } else if let Some(meant) = single_underscores(variable, known) {
            problems.push(Problem::at(
                Origin::Variable(variable.to_owned()),
                format!(
                    "is not read; did you mean {meant}? Two underscores stand between the parts of a key"
                ),
            ));
        }
    }
    for (variable, path) in environment.variables() {
        let named = match variable.strip_prefix(PREFIX) {
            Some(own) => file_of(&own.to_lowercase().replace("__", "."), known),
            None => CONVENTIONS
                .into_iter()
                .find(|(convention, _)| variable.strip_suffix("_FILE") == Some(convention))
                .map(|(_, key)| key.to_owned()),
        };
        let Some(key) = named else { continue };
        let origin = Origin::Variable(variable.to_owned());
        let beside = tree.origin_of(&key.split('.').collect::<Vec<_>>());
        if let Origin::Variable(other) = beside {
            let message = format!(
                "gives `{key}`, which variable {other} gives as well; keep one, so that it is plain which counts"
            );
            problems.push(Problem::at(origin, message));
            continue;
        }
        let path = environment.resolve(path);
        match contents(&path) {
            Ok(text) => put(tree, &key, Value::Loose(text), Origin::NamedFile(path, variable.to_owned())),
            Err(why) => problems.push(Problem::at(origin, format!("names {}, which {why}", path.display()))),
        }
    }
    if let Some(directory) = environment.get("CREDENTIALS_DIRECTORY") {
        credentials(tree, &environment.resolve(directory), known, problems);
    }
}

/// Systemd puts each credential into a file of its name; those named as a key of ours (`database.url`) are read,
/// the others belong to somebody else.
fn credentials(tree: &mut Node, directory: &Path, known: &Known<'_>, problems: &mut Vec<Problem>) {
    let origin = || Origin::Variable("CREDENTIALS_DIRECTORY".to_owned());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(Problem::at(origin(), format!("{} cannot be read: {error}", directory.display())));
            return;
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(key) = name.to_str().map(|name| name.to_lowercase().replace("__", ".")) else { continue };
        if key.split_once('.').is_none_or(|(section, _)| known.section(section).is_none()) {
            continue;
        }
        match contents(&entry.path()) {
            Ok(text) => put(tree, &key, Value::Loose(text), Origin::Credential(entry.path())),
            Err(why) => problems.push(Problem::at(Origin::Credential(entry.path()), why)),
        }
    }
}

/// The key whose value lies in the file that `key` (`database.url_file`, `database.url.file`) names; none, where a
/// key of just that name exists.
fn file_of(key: &str, known: &Known<'_>) -> Option<String> {
    let of = key.strip_suffix("_file").or_else(|| key.strip_suffix(".file"))?;
    (!known.has(key) && known.has(of)).then(|| of.to_owned())
}

/// `BURGEON_DATABASE_URL`, where `BURGEON__DATABASE__URL` is a key.
fn single_underscores(variable: &str, known: &Known<'_>) -> Option<String> {
    let rest = variable.strip_prefix("BURGEON_")?.replace('_', "").to_lowercase();
    let key = known.keys().find(|key| key.replace(['.', '_'], "") == rest)?;
    Some(format!("{PREFIX}{}", key.replace('.', "__").to_uppercase()))
}

fn put(tree: &mut Node, key: &str, value: Value, origin: Origin) {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    tree.put(&path, Node { value, origin });
}

fn contents(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(LONGEST_SECRET + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 > LONGEST_SECRET => {
            Err("is longer than 64 KiB and cannot be a value".to_owned())
        }
        // Editors and `echo` end a file with a line break that is no part of the secret.
        Ok(_) => Ok(text
            .strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
            .to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The sentence for a key that is none.
pub(super) fn unknown(key: &str, siblings: &[String], known: &Known<'_>) -> String {
    let (parent, last) = key.rsplit_once('.').unwrap_or(("", key));
    // One underscore where two part the section from its key: BURGEON__HTTP_PORT.
    let parted = siblings.iter().filter(|_| parent.is_empty()).find_map(|section| {
        let rest = last.strip_prefix(section.as_str())?.strip_prefix('_')?;
        known.has(&format!("{section}.{rest}")).then_some((section, rest))
    });
    if let Some((section, rest)) = parted {
        let variable = format!("BURGEON__{section}__{rest}").to_uppercase();
        return format!("`{key}` is not a key; did you mean `{section}.{rest}`, as a variable {variable}?");
    }
    let in_parent = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    let meant = did_you_mean(last, siblings.iter().map(String::as_str))
        .map(in_parent)
        // The right name in the wrong section.
        .or_else(|| known.keys().find(|other| other.rsplit('.').next() == Some(last)));
    match meant {
        Some(meant) => format!("`{key}` is not a key; did you mean `{meant}`?"),
        None if siblings.is_empty() => format!("`{key}` is not a key"),
        None => {
            format!(
                "`{key}` is not a key; known here are {}",
                siblings.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )
        }
    }
}
