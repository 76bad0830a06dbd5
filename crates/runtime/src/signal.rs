//! SIGTERM and SIGINT: the first drains, the second ends the process at once.
//!
//! They are heard on a thread of their own, because a process whose workers are all stuck must still hear the second.

use std::time::Duration;

use burgeon_core::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// After the second signal, how long the program may take to end by itself before the thread ends it.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// A second signal came while the process was draining. Found in an error by `error.find::<Interrupted>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    signal: i32,
}

impl Interrupted {
    /// What the process should exit with, as shells do: 128 and the number of the signal (130 for SIGINT, 143 for
    /// SIGTERM).
    pub fn exit_code(self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(1)
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a second signal ({}) came before everything had stopped", self.signal)
    }
}

impl std::error::Error for Interrupted {}

/// What a program should exit with after [`Lifecycle`](crate::Lifecycle) returned this: 0, 1, or
/// [`Interrupted::exit_code`].
pub fn exit_code(ended: &Result<()>) -> u8 {
    match ended {
        Ok(()) => 0,
        Err(error) => error.find::<Interrupted>().map_or(1, |interrupted| interrupted.exit_code()),
    }
}

/// The signals heard so far: the latest one's number, how many.
pub(crate) struct Signals(watch::Receiver<(i32, u32)>);

impl Signals {
    /// Listens from now on. The thread lives as long as the process: a signal that comes after [`Signals`] is gone
    /// ends the process, as it would had nobody ever listened.
    pub(crate) fn listen() -> Result<Self> {
        let (heard, signals) = watch::channel((0, 0));
        let (listening, listens) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || hear(&heard, &listening))
            .map_err(|error| failed(error.into()))?;
        match listens.recv() {
            Ok(Ok(())) => Ok(Self(signals)),
            Ok(Err(error)) => Err(failed(error)),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Resolves at the first signal.
    pub(crate) async fn first(&self) {
        self.at_least(1).await;
    }

    /// Resolves at the second.
    pub(crate) async fn second(&self) -> Interrupted {
        Interrupted { signal: self.at_least(2).await }
    }

    async fn at_least(&self, wanted: u32) -> i32 {
        let heard = self.0.clone().wait_for(|(_, count)| *count >= wanted).await.ok().map(|heard| heard.0);
        match heard {
            Some(signal) => signal,
            // The thread is gone, so nothing will be heard any more.
            None => std::future::pending().await,
        }
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::unavailable("Cannot listen for SIGTERM and SIGINT.").with_source(error)
}

type Listening = std::sync::mpsc::Sender<Result<(), Box<dyn std::error::Error + Send + Sync>>>;

fn hear(heard: &watch::Sender<(i32, u32)>, listening: &Listening) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(listening.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
                (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
                (Err(error), _) | (_, Err(error)) => return drop(listening.send(Err(error.into()))),
            };
        if listening.send(Ok(())).is_err() {
            return;
        }
        loop {
            let kind = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            };
            let signal = kind.as_raw_value();
            heard.send_modify(|(latest, count)| {
                *latest = signal;
                *count += 1;
            });
            if heard.is_closed() || heard.borrow().1 >= 2 {
                if !heard.is_closed() {
                    std::thread::sleep(LAST_CHANCE);
                }
                std::process::exit(128 + signal);
            }
        }
    });
}
