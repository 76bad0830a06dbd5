//! What the tests need beside Rust: found, installed where that is allowed, named where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use burgeon_services::{Program, find};

use crate::command::follow;

/// Without these, tests fail.
const NEEDED: [Program; 4] = [Program::Postgres, Program::Redis, Program::Nats, Program::PgBouncer];
/// Without these, only what looks at pages or bends a clock cannot run, and says so itself.
const WELCOME: [Program; 2] = [Program::Chromium, Program::Faketime];

/// Installs what is missing from the distribution's packages, when this is root on a system with `apt-get`.
///
/// # Errors
///
/// The exact command to run, when it may not or could not.
pub(crate) fn whatever_is_missing() -> Result<(), String> {
    let (needed, welcome) = (missing(&NEEDED), missing(&WELCOME));
    if needed.is_empty() && welcome.is_empty() {
        return Ok(());
    }
    let may = rustix::process::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists();
    if may {
        let _quiet = QuietServices::new()?;
        apt_get(&["update"])?;
        if !needed.is_empty() {
            apt_get(&[&["install", "-y", "--no-install-recommends"], packages(&needed).as_slice()].concat())?;
        }
        // One by one: Ubuntu has Chromium as a snap only, which needs a running snapd.
        for program in &welcome {
            if let Err(error) =
                apt_get(&["install", "-y", "--no-install-recommends", program.debian_package()])
            {
                println!("{} could not be installed, which only some tests need: {error}", program.name());
            }
        }
    } else if !welcome.is_empty() {
        println!("{} is not installed, which only some tests need: {}", names(&welcome), advice(&welcome));
    }
    let still = missing(&NEEDED);
    if still.is_empty() {
        return Ok(());
    }
    Err(format!("the tests need {}: {}", names(&still), advice(&still)))
}

fn missing(programs: &[Program]) -> Vec<Program> {
    programs.iter().copied().filter(|program| find(*program).is_err()).collect()
}

fn names(programs: &[Program]) -> String {
    programs.iter().map(|program| program.name()).collect::<Vec<_>>().join(", ")
}

fn packages(programs: &[Program]) -> Vec<&'static str> {
    programs.iter().map(|program| program.debian_package()).collect()
}

fn advice(programs: &[Program]) -> String {
    let formulas: Vec<&str> = programs.iter().map(|program| program.homebrew_formula()).collect();
    format!(
        "run `sudo apt-get install -y {}` (Debian, Ubuntu) or `brew install {}` (macOS)",
        packages(programs).join(" "),
        formulas.join(" ")
    )
}

fn apt_get(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("/usr/bin/apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    match follow(&mut command)? {
        ended if ended.success => Ok(()),
        _ => Err(format!("`apt-get {}` failed, see above", args.join(" "))),
    }
}

/// While it lives, packages that are installed do not start their services: tests start their own, and the machine's
/// owner did not ask for a Postgres on 5432.
struct QuietServices(bool);

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl QuietServices {
    fn new() -> Result<QuietServices, String> {
        if Path::new(POLICY).exists() {
            // The machine has a policy of its own, as containers do.
            return Ok(QuietServices(false));
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
            .map_err(|error| format!("writing {POLICY}, which keeps services from being started: {error}"))?;
        Ok(QuietServices(true))
    }
}

impl Drop for QuietServices {
    fn drop(&mut self) {
        if self.0
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("remove {POLICY} by hand, or no package will start its services: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_can_be_typed_as_it_is() {
        assert_eq!(
            advice(&[Program::Postgres, Program::PgBouncer]),
            "run `sudo apt-get install -y postgresql pgbouncer` (Debian, Ubuntu) or `brew install postgresql@15 pgbouncer` (macOS)"
        );
    }
}
