//! The command as people type it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "in tests a panic is the verdict"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn burgeon(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burgeon")).current_dir(directory).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Cargo in a generated application: nothing is downloaded, and what the workspace has built is not built again.
fn cargo(directory: &Path, arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_BIN_EXE_burgeon")).parent().and_then(Path::parent).unwrap();
    Command::new(env!("CARGO"))
        .current_dir(directory)
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("DATABASE_URL")
        .env_remove("PORT")
        .output()
        .unwrap()
}

#[test]
fn a_new_application_builds_passes_its_tests_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let root = root();
    // Without a path: against the checkout it was built from, and says so.
    let made = burgeon(directory.path(), &["new", "book-shop"]);
    assert!(made.status.success(), "{}", said(&made));
    let source = format!("built against the Burgeon in {}", root.display());
    assert!(said(&made).contains(&source), "{}", said(&made));
    let app = directory.path().join("book-shop");
    // The versions that the workspace was built with, so that what is built can be used again.
    std::fs::copy(root.join("Cargo.lock"), app.join("Cargo.lock")).unwrap();

    let tested = cargo(&app, &["test"]);
    assert!(tested.status.success(), "{}", said(&tested));
    assert!(
        said(&tested).contains("a_note_is_on_the_page_once_it_is_kept::sqlite ... ok"),
        "{}",
        said(&tested)
    );
    assert!(!said(&tested).contains("warning: unused"), "{}", said(&tested));

    let routes = cargo(&app, &["run", "--quiet", "--", "routes"]);
    assert!(said(&routes).contains("/api/notes"), "{}", said(&routes));
    let explained = cargo(&app, &["run", "--quiet", "--", "config", "explain"]);
    assert!(said(&explained).contains("sqlite:book-shop.db"), "{}", said(&explained));
}

#[test]
fn what_is_there_is_never_written_into() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("shop")).unwrap();
    let refused = burgeon(directory.path(), &["new", "shop"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("shop is there already"), "{}", said(&refused));
    assert_eq!(std::fs::read_dir(directory.path().join("shop")).unwrap().count(), 0);
}

#[test]
fn a_name_that_cannot_be_one_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let refused = burgeon(directory.path(), &["new", "Book Shop"]);
    assert!(said(&refused).contains("`book-shop` would do"), "{}", said(&refused));
    let refused = burgeon(directory.path(), &["new", "shop", "--burgeon-path", "."]);
    assert!(said(&refused).contains("is no checkout of Burgeon"), "{}", said(&refused));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn outside_of_a_project_it_says_where_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let refused = burgeon(directory.path(), &["routes"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("there is no Cargo.toml") && said(&refused).contains("burgeon new NAME"),
        "{}",
        said(&refused)
    );

    std::fs::write(directory.path().join("Cargo.toml"), "[package]\nname = \"other\"\n").unwrap();
    let refused = burgeon(directory.path(), &["migrate", "--status"]);
    assert!(said(&refused).contains("does not depend on burgeon"), "{}", said(&refused));
}

#[test]
fn the_templates_leave_nothing_unfilled() {
    let directory = tempfile::tempdir().unwrap();
    assert!(burgeon(directory.path(), &["new", "shop"]).status.success());
    let mut directories = vec![directory.path().join("shop")];
    let mut files = 0;
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                assert!(!text.contains("{{"), "{}", entry.path().display());
                files += 1;
            }
        }
    }
    assert_eq!(files, 10);
}
