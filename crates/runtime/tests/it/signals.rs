//! Real signals to a real process: `examples/process.rs`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

/// Nothing here takes that long, except on a machine that is about to fail anyway.
const LONG: Duration = Duration::from_secs(30);

struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(mode: &str) -> Self {
        let mut path = std::env::current_exe().unwrap();
        // target/debug/deps/it-1a2b -> target/debug/examples/process
        path.pop();
        path.pop();
        path.push("examples/process");
        assert!(path.exists(), "{} is missing; run `cargo test -p burgeon-runtime`", path.display());
        let mut child =
            Command::new(path).arg(mode).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (tell, lines) = mpsc::channel();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn says(&self, wanted: &str) {
        loop {
            let line =
                self.lines.recv_timeout(LONG).unwrap_or_else(|_| wanted.to_owned() + " was never said");
            assert!(!line.ends_with("was never said"), "{line}");
            if line == wanted {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The exit code, what it said since, and its errors.
    fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let deadline = Instant::now() + LONG;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                None => break self.child.kill().and_then(|()| self.child.wait()).unwrap(),
            }
        };
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status.code(), self.lines.iter().collect(), errors)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only does something when a test failed before the end: errors say that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_drains_in_reverse_order_and_the_exit_code_is_zero() {
    for signal in ["TERM", "INT"] {
        let process = Process::start("good");
        process.says("ready");
        process.signal(signal);
        let (code, said, errors) = process.end();
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert_eq!(said, ["http drains", "http stops", "database stops"]);
    }
}

#[test]
fn a_second_signal_ends_a_slow_drain_at_once_with_the_signals_code() {
    for (signal, expected) in [("TERM", 143), ("INT", 130)] {
        let process = Process::start("slow");
        process.says("ready");
        process.signal("TERM");
        process.says("http drains");
        process.signal(signal);
        let began = Instant::now();
        let (code, said, errors) = process.end();
        assert_eq!(code, Some(expected), "{errors}");
        assert!(said.is_empty(), "{said:?}");
        assert!(errors.contains("a second signal"), "{errors}");
        // Far below the drain timeout of 30 s.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[test]
fn a_second_signal_ends_even_a_process_that_is_stuck() {
    let process = Process::start("stuck");
    process.says("stuck");
    process.signal("TERM");
    process.signal("INT");
    // Two signals of one kind may merge while nobody has looked; of two kinds, both arrive.
    let (code, ..) = process.end();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
}

#[test]
fn a_process_that_cannot_start_says_which_service_and_why() {
    let process = Process::start("stillborn");
    let (code, said, errors) = process.end();
    assert_eq!(code, Some(1));
    assert_eq!(said, ["database stops"]);
    assert!(errors.contains("`http` failed to start") && errors.contains("port 80 is in use"), "{errors}");
}
