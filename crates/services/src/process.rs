//! A server as a process: started under a supervising shell, signalled, awaited, and gone when its value is.
//!
//! ```text
//!   test process ── orders (stdin) ──▶ sh supervise.sh ── child ──▶ server
//!                ◀─ answers (stdout) ──┘                    └ its own children (Postgres backends)
//! ```
//!
//! The shell lives as long as the server's directory. It reads the end of its orders when this value is dropped and
//! when the test process dies; both end the server and remove the directory. Signals go straight to the server.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, timeout};

use crate::account::{Account, unprivileged};
use crate::error::{Error, Result};

/// How long a server may take to answer after its start, and a preparation to end.
pub(crate) const START: Duration = Duration::from_secs(60);
/// How long a server may take to end after it was told to.
const STOP: Duration = Duration::from_secs(30);
/// How often a starting server is asked whether it answers.
const TURN: Duration = Duration::from_millis(10);
/// As much of a log as a person reads.
const LOG_LINES: usize = 40;

const SUPERVISE: &str = include_str!("supervise.sh");

/// A server's directory, supervising shell and, while it runs, its process.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    directory: PathBuf,
    account: Option<Account>,
    shell: Child,
    // `None` once closed: the end of orders is the shell's signal to clean up.
    orders: Option<ChildStdin>,
    answers: OwnedFd,
    unread: Vec<u8>,
    server: Option<Pid>,
}

impl Process {
    /// An empty directory of this server's own, and the shell that will remove it. `end` is the signal that ends the
    /// server when its owner is gone.
    pub(crate) fn new(name: &'static str, end: &'static str) -> Result<Process> {
        let account = unprivileged()?;
        let scratch = tempfile::Builder::new()
            .prefix(&format!("burgeon-{}-", name.to_lowercase()))
            .tempdir()
            .map_err(|error| Error::io(format!("creating a directory for {name}"), error))?;
        let directory = scratch.path().to_owned();
        give(&directory, account)
            .map_err(|error| Error::io("giving a directory to the server's user", error))?;

        // From a file, so that `ps` shows a name and not the whole script.
        let script = directory.join("supervise.sh");
        fs::write(&script, SUPERVISE)
            .and_then(|()| give(&script, account))
            .map_err(|error| Error::io(format!("writing {}", script.display()), error))?;
        let mut command = Command::new("/bin/sh");
        command
            .args([script.as_os_str(), directory.as_os_str(), OsStr::new(end)])
            .current_dir(&directory)
            // Of its own group: Ctrl-C at a terminal must end the owner first, and the owner's end the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut shell =
            command.spawn().map_err(|error| Error::io(format!("starting /bin/sh for {name}"), error))?;
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(Error::new("the supervising shell has no pipes"));
        };
        // From here on the shell removes it.
        let directory = scratch.keep();
        let (orders, answers) = (Some(orders), answers.into());
        Ok(Process { name, directory, account, shell, orders, answers, unread: Vec::new(), server: None })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file the server may read, and nobody else.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| give(&path, self.account))
            .map_err(|error| Error::io(format!("writing {}", path.display()), error))?;
        Ok(path)
    }

    /// Runs a command to its end, as the server's user.
    pub(crate) async fn prepare(&mut self, command: &[&OsStr]) -> Result<()> {
        self.order("prepare", command)?;
        match self.answer(START).await? {
            Some(code) if code == "0" => Ok(()),
            Some(code) => Err(self.failed(&format!("exited with {code} during preparation"))),
            None => Err(self.failed(&format!("did not finish its preparation within {} s", START.as_secs()))),
        }
    }

    /// An empty directory below this one, in which the server's user may remove what others have put there.
    pub(crate) fn create_directory(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::create_dir(&path)
            .and_then(|()| give(&path, self.account))
            .map_err(|error| Error::io(format!("creating {}", path.display()), error))
    }

    /// The server outlives this value's process, until nobody holds the pipe `line` in its directory open and the process
    /// `run` has ended.
    pub(crate) async fn share(&mut self, run: u32) -> Result<()> {
        self.order("share", &[OsStr::new(&run.to_string())])?;
        match self.answer(START).await? {
            Some(code) if code == "0" => Ok(()),
            _ => Err(self.failed("cannot be shared: its shell made no pipe")),
        }
    }

    /// Starts the server and waits until `ready` says so.
    pub(crate) async fn start(&mut self, command: &[&OsStr], ready: impl AsyncFn(u32) -> bool) -> Result<()> {
        if self.server.is_some() {
            return Err(Error::new(format!("{} is running already", self.name)));
        }
        self.order("start", command)?;
        let pid: u32 = match self.answer(START).await?.and_then(|line| line.parse().ok()) {
            Some(pid) => pid,
            None => return Err(self.failed("was not started by the shell")),
        };
        self.server = i32::try_from(pid).ok().and_then(Pid::from_raw);

        let deadline = Instant::now() + START;
        loop {
            if timeout(START, ready(pid)).await.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failed(&format!("did not answer within {} s", START.as_secs())));
            }
            if let Some(code) = self.answer(TURN).await? {
                self.server = None;
                return Err(self.failed(&format!("exited with {code} at its start")));
            }
        }
    }

    /// Sends `signal` and waits for the end.
    pub(crate) async fn stop(&mut self, signal: Signal) -> Result<()> {
        let server = self.running()?;
        // A paused process hears nothing.
        signal_family(server, Signal::CONT);
        kill_process(server, signal)
            .map_err(|error| Error::io(format!("stopping {}", self.name), error.into()))?;
        self.ended().await
    }

    /// Ends the server and all its children at once, as a power cut would.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let server = self.running()?;
        let family = signal_family(server, Signal::KILL);
        self.ended().await?;
        // A backend that still holds the shared memory would make the next start fail.
        let deadline = Instant::now() + STOP;
        while family.iter().any(|child| is_alive(*child)) {
            if Instant::now() >= deadline {
                return Err(self.failed("has children that outlived SIGKILL"));
            }
            sleep(TURN).await;
        }
        Ok(())
    }

    /// Freezes the server and all its children: they keep their sockets and say nothing.
    pub(crate) fn pause(&self) -> Result<()> {
        signal_family(self.running()?, Signal::STOP);
        Ok(())
    }

    /// Thaws what [`pause`](Self::pause) froze.
    pub(crate) fn resume(&self) -> Result<()> {
        signal_family(self.running()?, Signal::CONT);
        Ok(())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.is_some()
    }

    /// A failure of this server, with the end of its log.
    pub(crate) fn failed(&self, what: &str) -> Error {
        let path = self.directory.join("log");
        let log = fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        let tail = if tail.is_empty() { "(its log is empty)" } else { &tail };
        Error::new(format!("{} {what}. Its log ends:\n{tail}", self.name))
    }

    fn running(&self) -> Result<Pid> {
        self.server.ok_or_else(|| Error::new(format!("{} is not running", self.name)))
    }

    async fn ended(&mut self) -> Result<()> {
        match self.answer(STOP).await? {
            Some(_) => {
                self.server = None;
                Ok(())
            }
            None => Err(self.failed(&format!("did not end within {} s", STOP.as_secs()))),
        }
    }

    fn order(&mut self, verb: &str, command: &[&OsStr]) -> Result<()> {
        let mut line = verb.as_bytes().to_vec();
        for word in command {
            line.push(b' ');
            line.extend(quoted(word));
        }
        line.push(b'\n');
        let Some(orders) = &mut self.orders else {
            return Err(Error::new(format!("the supervising shell of {} is closed", self.name)));
        };
        orders.write_all(&line).map_err(|error| Error::io(format!("ordering {verb} of {}", self.name), error))
    }

    /// The next line the shell says, or `None` when it says nothing in time. Cancel-safe: what was read stays.
    async fn answer(&mut self, within: Duration) -> Result<Option<String>> {
        let broken = |error| Error::io(format!("listening to the supervising shell of {}", self.name), error);
        // Opened anew each time: a server may be shared by tests that each have their own runtime.
        let answers = self.answers.try_clone().and_then(pipe::Receiver::from_owned_fd).map_err(broken)?;
        let deadline = Instant::now() + within;
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
            }
            let Ok(readable) = tokio::time::timeout_at(deadline, answers.readable()).await else {
                return Ok(None);
            };
            readable.map_err(broken)?;
            let mut buffer = [0; 64];
            match answers.try_read(&mut buffer) {
                Ok(0) => return Err(self.failed("lost its supervising shell")),
                Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

impl Drop for Process {
    /// Blocks until the server is gone, which is milliseconds for most and bounded by the shell's ten seconds.
    fn drop(&mut self) {
        if let Some(server) = self.server {
            signal_family(server, Signal::CONT);
        }
        drop(self.orders.take());
        // The exit code of a shell that cleans up says nothing anybody could act on.
        let _ = self.shell.wait();
    }
}

fn give(path: &Path, account: Option<Account>) -> io::Result<()> {
    let Some(account) = account else { return Ok(()) };
    std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))
}

/// A word as the shell reads it back: in single quotes, a quote inside as `'\''`.
fn quoted(word: &OsStr) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// So often it is asked whether a process has heard that it is to stop, ten thousand times a second at most.
const STOPPED_AFTER: usize = 10_000;

/// Signals a process and its children, and says who they were. The parent is stopped first, so that it cannot have
/// another child meanwhile; a process that is gone already needs no signal.
fn signal_family(parent: Pid, signal: Signal) -> Vec<Pid> {
    let _ = kill_process(parent, Signal::STOP);
    // The signal has been sent then, not heard: it may be in the middle of having a child.
    for _ in 0..STOPPED_AFTER {
        if !is_awake(parent) {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    let mut family = children(parent);
    family.push(parent);
    for member in &family {
        let _ = kill_process(*member, signal);
    }
    family
}

#[cfg(target_os = "linux")]
fn children(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
            let (_, of) = state_and_parent(pid)?;
            (of == parent.as_raw_nonzero().get()).then_some(pid)
        })
        .collect()
}

/// From `/proc/PID/stat`: `1234 (name, perhaps with spaces) S 1 ...`.
#[cfg(target_os = "linux")]
fn state_and_parent(pid: Pid) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(target_os = "linux")]
fn is_alive(pid: Pid) -> bool {
    // A zombie holds nothing any more; who reaps it is not our affair.
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
        && test_kill_process(pid).is_ok()
}

/// Whether it may still do something.
#[cfg(target_os = "linux")]
fn is_awake(pid: Pid) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'T' | 't' | 'Z' | 'X'))
}

#[cfg(not(target_os = "linux"))]
fn is_awake(pid: Pid) -> bool {
    let Ok(state) = Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output() else {
        return false;
    };
    // Nothing, if it is gone.
    state.stdout.first().is_some_and(|state| !matches!(state, b'T' | b'Z'))
}

#[cfg(not(target_os = "linux"))]
fn children(parent: Pid) -> Vec<Pid> {
    let Ok(list) = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output() else { return Vec::new() };
    String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse::<i32>);
            let (pid, of) = (fields.next()?.ok()?, fields.next()?.ok()?);
            (of == parent.as_raw_nonzero().get()).then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_survives_the_shell() {
        let word = "it's $HOME; `date` \\ \"x\"";
        let mut script = b"printf %s ".to_vec();
        script.extend(quoted(OsStr::new(word)));
        let script = String::from_utf8(script).unwrap();
        let said = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
    }

    #[tokio::test]
    async fn a_server_that_dies_at_its_start_shows_its_log() {
        let mut process = Process::new("Doomed", "KILL").unwrap();
        let command = ["/bin/sh", "-c", "echo the disk is on fire; exit 3"].map(OsStr::new);
        let error = process.start(&command, async |_| false).await.unwrap_err().to_string();
        assert!(error.contains("Doomed exited with 3 at its start"), "{error}");
        assert!(error.contains("the disk is on fire"), "{error}");
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone_and_so_is_its_directory() {
        let mut process = Process::new("Sleeper", "KILL").unwrap();
        process.start(&["sleep", "600"].map(OsStr::new), async |_| true).await.unwrap();
        let (pid, directory) = (process.running().unwrap(), process.directory().to_owned());
        assert!(is_alive(pid) && directory.exists());
        drop(process);
        assert!(!is_alive(pid) && !directory.exists());
    }

    #[tokio::test]
    async fn a_paused_process_can_still_be_dropped() {
        let mut process = Process::new("Sleeper", "TERM").unwrap();
        process.start(&["sleep", "600"].map(OsStr::new), async |_| true).await.unwrap();
        let pid = process.running().unwrap();
        process.pause().unwrap();
        drop(process);
        assert!(!is_alive(pid));
    }
}
