//! Where lines go: a queue of bounded size, and a thread that writes.
//!
//! Why a thread: standard error may be a pipe that nobody empties, and a write to it blocks without bound. The thread
//! may wait as long as it likes; whoever logs never does.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use burgeon_core::{Error, Result};

/// The most lines that wait.
const LINES: usize = 16 * 1024;
/// The most bytes that wait.
const BYTES: usize = 16 << 20;
/// How much is written at once when there is much to write.
const BATCH: usize = 64 * 1024;

/// Takes lines and writes them in order. Cloning shares it.
#[derive(Clone)]
pub struct Sink(Arc<Inner>);

struct Inner {
    queue: SyncSender<Message>,
    terminal: bool,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Sink {
    /// To standard error.
    ///
    /// # Errors
    /// [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when the system refuses a thread.
    pub fn stderr() -> Result<Self> {
        Self::start(std::io::stderr(), std::io::stderr().is_terminal())
    }

    /// To anything that can be written to.
    ///
    /// # Errors
    /// As [`stderr`](Self::stderr).
    pub fn to(out: impl Write + Send + 'static) -> Result<Self> {
        Self::start(out, false)
    }

    fn start(out: impl Write + Send + 'static, terminal: bool) -> Result<Self> {
        let (queue, lines) = sync_channel(LINES);
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        // It ends when the last handle is gone and all has been written.
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &lines, &counted))
            .map_err(|error| {
                Error::unavailable("The system refused a thread for the log.").with_source(error)
            })?;
        Ok(Self(Arc::new(Inner { queue, terminal, counts })))
    }

    /// Hands over a line. Never waits: a line that does not fit is lost and counted.
    pub(crate) fn write(&self, line: Vec<u8>) {
        let counts = &self.0.counts;
        let size = line.len();
        let fits = counts.waiting.fetch_add(size, Ordering::Relaxed) + size <= BYTES;
        if !fits || self.0.queue.try_send(Message::Line(line)).is_err() {
            counts.waiting.fetch_sub(size, Ordering::Relaxed);
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what has been logged so far is written, for at most `within`. Blocks the thread: for the end of a
    /// program.
    ///
    /// # Errors
    /// [`Kind::Deadline`](burgeon_core::Kind::Deadline) when the reader is slower than that.
    pub fn flush(&self, within: Duration) -> Result<()> {
        let late = || Error::deadline("The log could not be written in time; its last lines may be lost.");
        let (done, flushed) = sync_channel(1);
        let mut message = Message::Flush(done);
        let mut left = within;
        const PAUSE: Duration = Duration::from_millis(5);
        loop {
            match self.0.queue.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if left > PAUSE => {
                    message = back;
                    std::thread::sleep(PAUSE);
                    left -= PAUSE;
                }
                Err(_) => return Err(late()),
            }
        }
        flushed.recv_timeout(left).map_err(|_: RecvTimeoutError| late())
    }

    /// How many lines were written.
    pub fn written(&self) -> u64 {
        self.0.counts.written.load(Ordering::Relaxed)
    }

    /// How many lines were lost, because the reader was slower than the log.
    pub fn lost(&self) -> u64 {
        self.0.counts.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.0.terminal
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("written", &self.written()).field("lost", &self.lost()).finish()
    }
}

fn write_all(mut out: impl Write, lines: &Receiver<Message>, counts: &Counts) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut told = 0;
    while let Ok(message) = lines.recv() {
        let mut next = Some(message);
        let mut flushes = Vec::new();
        let mut count = 0;
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    batch.extend_from_slice(&line);
                    count += 1;
                }
                Message::Flush(done) => flushes.push(done),
            }
            next = if batch.len() < BATCH { lines.try_recv().ok() } else { None };
        }
        let size = batch.len();
        let lost = counts.lost.load(Ordering::Relaxed);
        // Nobody reads standard error that is closed, and there is no other place to say so: it is counted.
        let wrote = out.write_all(&batch).and_then(|()| out.flush());
        counts.waiting.fetch_sub(size, Ordering::Relaxed);
        match wrote {
            Ok(()) => _ = counts.written.fetch_add(count, Ordering::Relaxed),
            Err(_) => _ = counts.lost.fetch_add(count, Ordering::Relaxed),
        }
        if lost > told {
            let gap =
                format!("... {} log lines were lost: their reader is slower than the log\n", lost - told);
            // As above.
            let _ = out.write_all(gap.as_bytes());
            told = lost;
        }
        batch.clear();
        for done in flushes {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}
