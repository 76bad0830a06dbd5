//! What an application's binary can be told, by its command line.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const HELLO: &str = env!("CARGO_BIN_EXE_burgeon-hello");

fn told(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(HELLO)
        .current_dir(directory)
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env_remove("PORT")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_lists_the_verbs_with_examples_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = told(directory.path(), &["--help"]);
    let help = text(&output.stdout);
    assert!(output.status.success());
    for word in
        ["serve", "migrate", "db", "routes", "config", "openapi", "statements", "Examples:", "DATABASE_URL="]
    {
        assert!(help.contains(word), "{word}\n{help}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_mistyped_verb_is_a_mistake_of_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let output = told(directory.path(), &["migrat"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'migrate'"), "{}", text(&output.stderr));
}

#[test]
fn config_explain_shows_value_origin_and_default() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("burgeon.toml"), "[http]\nport = 4000\n").unwrap();
    let output = told(directory.path(), &["config", "explain"]);
    let table = text(&output.stdout);
    let port = table.lines().find(|line| line.starts_with("http.port ")).unwrap();
    assert_eq!(port.split_whitespace().collect::<Vec<_>>(), ["http.port", "4000", "burgeon.toml:2", "3000"]);
    assert!(
        table.lines().any(|line| line.starts_with("database.url ") && line.contains("sqlite:hello.db")),
        "{table}"
    );

    let json: Value =
        serde_json::from_slice(&told(directory.path(), &["config", "explain", "--json"]).stdout).unwrap();
    let port = json.as_array().unwrap().iter().find(|entry| entry["key"] == "http.port").unwrap();
    assert_eq!((&port["value"], &port["origin"]), (&Value::from("4000"), &Value::from("burgeon.toml:2")));
}

#[test]
fn a_wrong_configuration_is_told_with_its_line_and_no_backtrace() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("burgeon.toml"), "[http]\nprot = 4000\n[databse]\n").unwrap();
    for verb in ["serve", "routes", "migrate"] {
        let output = told(directory.path(), &[verb]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("hello: the configuration has 2 problems:"), "{said}");
        assert!(
            said.contains("burgeon.toml:2: `http.prot` is not a key; did you mean `http.port`?"),
            "{said}"
        );
        assert!(said.contains("burgeon.toml:3: `databse` is not a key; did you mean `database`?"), "{said}");
        assert!(!said.contains("backtrace") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn migrate_says_what_it_did_and_then_that_there_is_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let status = |expected: &str| {
        let json: Value =
            serde_json::from_slice(&told(directory.path(), &["migrate", "--status", "--json"]).stdout)
                .unwrap();
        let steps = json.as_array().unwrap();
        assert!(!steps.is_empty() && steps.iter().all(|step| step["state"] == expected), "{json}");
    };
    status("pending");
    let output = told(directory.path(), &["migrate"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("0001_first_start"), "{}", text(&output.stdout));
    assert_eq!(text(&told(directory.path(), &["migrate"]).stdout), "the database is up to date\n");
    status("applied");
}

#[test]
fn routes_and_documents_are_shown_without_touching_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let routes = text(&told(directory.path(), &["routes"]).stdout);
    assert!(routes.lines().any(|line| line.starts_with("GET     /  ")), "{routes}");
    let json: Value = serde_json::from_slice(&told(directory.path(), &["routes", "--json"]).stdout).unwrap();
    assert!(
        json.as_array().unwrap().iter().any(|route| route["path"] == "/" && route["method"] == "GET"),
        "{json}"
    );
    let document: Value = serde_json::from_slice(&told(directory.path(), &["openapi"]).stdout).unwrap();
    assert_eq!(document["info"]["title"], "hello");
    assert!(document["paths"]["/"]["get"].is_object(), "{document}");
    let statements = text(&told(directory.path(), &["statements"]).stdout);
    assert!(statements.lines().any(|line| line.starts_with("now ")), "{statements}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_who_has_seen_enough_ends_a_verb_in_peace() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(HELLO)
        .current_dir(directory.path())
        .args(["config", "explain"])
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_move_says_what_it_would_need() {
    let directory = tempfile::tempdir().unwrap();
    let help = text(&told(directory.path(), &["db", "move", "--help"]).stdout);
    for word in ["--to", "--rehearse", "--leave", "--undo", "--json", "hello db move --to postgres://"] {
        assert!(help.contains(word), "{word}\n{help}");
    }
    let output = told(directory.path(), &["db", "move"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--to"), "{}", text(&output.stderr));
    let said = text(&told(directory.path(), &["db", "move", "--to", "mysql://x/y"]).stderr);
    assert!(said.contains("--to: ") && said.contains("postgres://"), "{said}");
}
