//! What is wrong with the world when the shop is started, and with what it is given: each answered by a message that says
//! what, where and what to do, by a status, and within a bound.

mod configuration;
mod databases;
mod exports;
mod ports;
mod requests;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Longer than any refusal may take, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(30);

/// How a run of the shop's binary ended.
struct Ended {
    code: Option<i32>,
    /// The standard output.
    printed: String,
    /// Both outputs.
    said: String,
}

/// Runs the shop to its end, with these variables of its own.
async fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    // A key's own variable is stronger than PORT.
    let says_port = variables.iter().any(|(name, _)| *name == "PORT");
    let (free, admin) = ([("BURGEON__HTTP__PORT", "0")], [("BURGEON__ADMIN__PORT", "0")]);
    let output = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .env_remove("PORT")
        // As with the verbs: no full catalogue for those that get as far as to make one.
        .env("BURGEON__SHOP__CATALOG", "20")
        .envs(free.iter().filter(|_| !says_port).chain(&admin).copied())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(BOUND, output).await.expect("it ends within the bound");
    let Output { status, stdout, stderr } = output.expect("the shop's binary starts");
    let printed = String::from_utf8_lossy(&stdout).into_owned();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    for word in ["panicked", "backtrace", "RUST_BACKTRACE"] {
        assert!(!said.contains(word), "it panicked:\n{said}");
    }
    Ended { code: status.code(), printed, said }
}

impl Ended {
    /// It failed, and said each of these.
    #[track_caller]
    fn refused(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "`{word}` is not said:\n{}", self.said);
        }
        self
    }

    #[track_caller]
    fn never_says(&self, word: &str) {
        assert!(!self.said.contains(word), "`{word}` is said:\n{}", self.said);
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory is made")
}
