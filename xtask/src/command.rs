//! Running other programs: from the root of the workspace, without stdin, their output passed on line by line.

use std::io::{BufRead, BufReader, Write, pipe};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tally::Tally;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The cargo that built this, in the root of the workspace, with these arguments.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).current_dir(root());
    command
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_cargo(name: &str) -> bool {
    let asked =
        cargo([name, "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// A command as a person would type it.
pub(crate) fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// How a command ended, and the tests it counted.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) tally: Tally,
    pub(crate) output: String,
}

/// Runs a command to its end, passes its output on as it comes, and keeps it.
pub(crate) fn follow(command: &mut Command) -> Result<Ended, String> {
    let failed = |error: std::io::Error| format!("running `{}`: {error}", typed(command));
    let (reader, writer) = pipe().map_err(failed)?;
    let second = writer.try_clone().map_err(failed)?;
    println!("$ {}", typed(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(second)
        .spawn()
        .map_err(|error| error.to_string())?;
    // The command holds the writing ends too; only when ours are closed does the reader see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (mut tally, mut output) = (Tally::default(), String::new());
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    let read = |error: std::io::Error| format!("reading the output of a command: {error}");
    while lines.read_until(b'\n', &mut line).map_err(read)? > 0 {
        let text = String::from_utf8_lossy(&line);
        tally += Tally::of(&text);
        output.push_str(&text);
        // Nobody reads any more: the work goes on all the same, and its result is the exit code.
        let _ = std::io::stdout().write_all(&line);
        line.clear();
    }
    let status = child.wait().map_err(read)?;
    Ok(Ended { success: status.success(), tally, output })
}
