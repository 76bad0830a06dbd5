//! What is to be done: the files of this program against what the database remembers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::script::checksum;
use super::{Migration, State, Step};
use crate::Engine;

/// One module's files and the modules whose tables they build on.
#[derive(Debug, Clone)]
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) files: &'static [Migration],
    pub(super) after: Vec<&'static str>,
}

/// What the database remembers of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) took_millis: i64,
}

/// One file to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) module: &'static str,
    pub(super) file: &'static Migration,
}

/// Puts every module behind those it comes after; otherwise in the order given.
pub(super) fn order(modules: &[Module]) -> Result<Vec<&Module>, String> {
    let mut names = BTreeSet::new();
    for module in modules {
        if !names.insert(module.name) {
            return Err(format!("two modules are called `{}`; rename one of them", module.name));
        }
        if let Some(pair) = module.files.windows(2).find(|pair| pair[0].name() >= pair[1].name()) {
            return Err(format!(
                "the migrations of `{}` are not in order: `{}` stands before `{}`; number them upwards",
                module.name,
                pair[0].name(),
                pair[1].name()
            ));
        }
    }
    for module in modules {
        if let Some(unknown) = module.after.iter().find(|after| !names.contains(*after)) {
            return Err(format!(
                "module `{}` comes after `{unknown}`, and there is no such module; known are {}",
                module.name,
                names.iter().copied().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    let mut ordered: Vec<&Module> = Vec::with_capacity(modules.len());
    while ordered.len() < modules.len() {
        let done = |name: &str| ordered.iter().any(|module| module.name == name);
        let next =
            modules.iter().find(|module| !done(module.name) && module.after.iter().all(|after| done(after)));
        match next {
            Some(module) => ordered.push(module),
            None => {
                let stuck: Vec<_> =
                    modules.iter().map(|module| module.name).filter(|name| !done(name)).collect();
                return Err(format!(
                    "the modules {} come after each other in a circle; let one of them depend on the other's API \
                     instead of its tables",
                    stuck.join(", ")
                ));
            }
        }
    }
    Ok(ordered)
}

/// Every file, known here or remembered there, and how it stands. In the order of application.
pub(super) fn compare(modules: &[&Module], applied: &[Applied], engine: Engine) -> Vec<Step> {
    let mut remembered: BTreeMap<(&str, &str), &Applied> =
        applied.iter().map(|applied| ((applied.module.as_str(), applied.name.as_str()), applied)).collect();
    let mut steps = Vec::new();
    for module in modules {
        for file in module.files {
            let sum = checksum(file.sql(engine));
            let state = match remembered.remove(&(module.name, file.name())) {
                Some(applied) if applied.checksum == sum => State::Applied,
                Some(applied) => State::Edited { applied: applied.checksum.clone(), file: sum },
                None => State::Pending,
            };
            steps.push(Step { module: module.name.to_owned(), name: file.name().to_owned(), state });
        }
        let last = module.files.last().map_or("", |file| file.name());
        let foreign: Vec<_> = remembered.keys().filter(|(name, _)| *name == module.name).copied().collect();
        for key in foreign {
            remembered.remove(&key);
            let state = if key.1 > last { State::Newer } else { State::Missing };
            steps.push(Step { module: key.0.to_owned(), name: key.1.to_owned(), state });
        }
    }
    // Of modules that this program does not have: they were taken out, or are newer. Their tables are nobody's business
    // here.
    for (module, name) in remembered.into_keys() {
        let state = State::OtherModule;
        steps.push(Step { module: module.to_owned(), name: name.to_owned(), state });
    }
    steps
}

/// The files to be applied, or why none may be.
pub(super) fn pending(
    modules: &[&Module],
    applied: &[Applied],
    engine: Engine,
    beside_newer: bool,
) -> Result<Vec<Pending>, String> {
    let steps = compare(modules, applied, engine);
    let mut pending = Vec::new();
    for module in modules {
        let own = || steps.iter().filter(|step| step.module == module.name);
        if let Some(refusal) = own().find_map(refuse) {
            return Err(refusal);
        }
        if let Some(newer) = own().find(|step| step.state == State::Newer) {
            if beside_newer {
                // The newer program has gone ahead; what this one lacks, it does not need.
                continue;
            }
            return Err(format!(
                "the database has migration `{}` of module `{}`, which this program does not know: a newer version \
                 has migrated it; run that version's `migrate`, or restore a backup to go back",
                newer.name, module.name
            ));
        }
        let waiting: Vec<_> = own().filter(|step| step.state == State::Pending).collect();
        let last_applied = own().rfind(|step| step.state == State::Applied);
        if let (Some(first), Some(last)) = (waiting.first(), last_applied)
            && first.name < last.name
        {
            return Err(format!(
                "migration `{}` of module `{}` is new, and `{}` after it has been applied already; give it a number \
                 above `{}`",
                first.name, module.name, last.name, last.name
            ));
        }
        let files = module.files.iter().filter(|file| waiting.iter().any(|step| step.name == file.name()));
        pending.extend(files.map(|file| Pending { module: module.name, file }));
    }
    Ok(pending)
}

/// History that does not fit the files, whoever asks.
fn refuse(step: &Step) -> Option<String> {
    match &step.state {
        State::Edited { applied, file } => Some(format!(
            "migration `{}` of module `{}` was edited after it had been applied: the database has seen {}, the file \
             is {}; put the file back as it was, and write the change into a new migration",
            step.name,
            step.module,
            &applied[..applied.len().min(16)],
            &file[..file.len().min(16)],
        )),
        State::Missing => Some(format!(
            "migration `{}` of module `{}` has been applied, and its file is gone; put it back, migrations are \
             never deleted or renamed",
            step.name, step.module
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration::new("0001_one", ["create table a (x)", "create table a (x)"]);
    const TWO: Migration = Migration::new("0002_two", ["create table b (x)", "create table b (x)"]);
    const THREE: Migration = Migration::new("0003_three", ["create table c (x)", "create table c (x)"]);

    fn module(name: &'static str, files: &'static [Migration], after: &[&'static str]) -> Module {
        Module { name, files, after: after.to_vec() }
    }

    fn ran(module: &str, file: &Migration) -> Applied {
        let checksum = checksum(file.sql(Engine::Sqlite));
        Applied { module: module.to_owned(), name: file.name().to_owned(), checksum, took_millis: 1 }
    }

    fn names(pending: &[Pending]) -> Vec<String> {
        pending.iter().map(|pending| format!("{}/{}", pending.module, pending.file.name())).collect()
    }

    fn planned(modules: &[Module], applied: &[Applied], beside_newer: bool) -> Result<Vec<String>, String> {
        let ordered = order(modules)?;
        pending(&ordered, applied, Engine::Sqlite, beside_newer).map(|pending| names(&pending))
    }

    #[test]
    fn modules_come_after_those_they_depend_on() {
        let modules = [
            module("orders", &[ONE], &["catalog", "accounts"]),
            module("catalog", &[ONE, TWO], &[]),
            module("accounts", &[ONE], &["catalog"]),
        ];
        assert_eq!(
            planned(&modules, &[], false).unwrap(),
            ["catalog/0001_one", "catalog/0002_two", "accounts/0001_one", "orders/0001_one"]
        );
    }

    #[test]
    fn circles_unknown_modules_and_twins_are_refused() {
        let refused = |modules: &[Module]| planned(modules, &[], false).unwrap_err();
        assert!(refused(&[module("a", &[], &["b"]), module("b", &[], &["a"])]).contains("circle"));
        assert!(refused(&[module("a", &[], &["c"])]).contains("no such module"));
        assert!(refused(&[module("a", &[], &[]), module("a", &[], &[])]).contains("two modules"));
        assert!(refused(&[module("a", &[TWO, ONE], &[])]).contains("not in order"));
    }

    #[test]
    fn what_ran_is_not_run_again() {
        let modules = [module("a", &[ONE, TWO], &[])];
        assert_eq!(planned(&modules, &[ran("a", &ONE)], false).unwrap(), ["a/0002_two"]);
        assert_eq!(planned(&modules, &[ran("a", &ONE), ran("a", &TWO)], false).unwrap(), [""; 0]);
    }

    #[test]
    fn edited_history_names_both_checksums_and_the_way_out() {
        let mut edited = ran("a", &ONE);
        edited.checksum = checksum("something else");
        let why = planned(&[module("a", &[ONE, TWO], &[])], &[edited.clone()], true).unwrap_err();
        for part in
            ["0001_one", "`a`", &edited.checksum[..16], &ran("a", &ONE).checksum[..16], "new migration"]
        {
            assert!(why.contains(part), "{part} in {why}");
        }
    }

    #[test]
    fn a_newer_database_is_refused_to_migrate_and_borne_beside_a_newer_program() {
        let modules = [module("a", &[ONE], &[]), module("b", &[ONE], &[])];
        let applied = [ran("a", &ONE), ran("a", &TWO)];
        assert!(planned(&modules, &applied, false).unwrap_err().contains("newer version"));
        assert_eq!(planned(&modules, &applied, true).unwrap(), ["b/0001_one"]);
    }

    #[test]
    fn a_file_in_the_middle_and_a_file_that_is_gone_are_refused() {
        let why =
            planned(&[module("a", &[ONE, TWO, THREE], &[])], &[ran("a", &ONE), ran("a", &THREE)], false);
        assert!(why.unwrap_err().contains("above `0003_three`"));
        let why = planned(&[module("a", &[ONE, THREE], &[])], &[ran("a", &ONE), ran("a", &TWO)], true);
        assert!(why.unwrap_err().contains("is gone"));
    }

    #[test]
    fn a_module_this_program_lacks_is_left_alone() {
        assert_eq!(planned(&[module("a", &[ONE], &[])], &[ran("z", &ONE)], false).unwrap(), ["a/0001_one"]);
    }
}
