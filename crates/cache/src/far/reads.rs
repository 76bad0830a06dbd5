//! Reads of single keys that go together: who comes while others are on their way waits until one of them is back, and all that wait
//! are one question.
//!
//! ```text
//!   1st .. 2nd ─────────── ask at once, each for itself, in their callers' own time
//!   3rd ──┐
//!   4th ──┼─ wait ── reader, a task: one question for all ── each is told ── the next who wait
//!   5th ──┘
//! ```
//!
//! What this is: the cost of a question shared by those who ask at the same time, as in a group commit. What it is not: a delay. Nobody
//! waits for others to come; where little is asked, nobody waits at all.
//!
//! # Invariants
//! - Whoever is told anything is told what was asked after he came.
//! - Nothing here waits for a caller to be polled: what others wait for is a task.
//! - At most [`READERS`] questions of at most [`MOST`] keys are under way for others, and at most [`LINE`] wait. How long somebody waits is
//!   his own limit: one question that hangs keeps the other reader from nobody.

use std::collections::VecDeque;
use std::sync::Arc;

use burgeon_core::{Error, Result};
use burgeon_resilience::{Refused, Why};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::desk::Desk;
use super::remote::Remote;
use super::store::{Entry, Token};
use crate::fault::Shared;
use crate::sync::{Mutex, hold};

/// So many ask for themselves at once.
const ALONE: usize = 2;
/// So many questions for those who wait are under way at once.
const READERS: usize = 2;
/// One question is about so many keys.
const MOST: usize = 64;
/// So many wait.
const LINE: usize = 4_096;

/// What the store said of a key.
pub(crate) struct Read {
    pub(crate) key: String,
    pub(crate) token: Token,
    pub(crate) entry: Option<Entry>,
}

/// Nothing, if the key was invalidated while it waited to be asked for.
type Told = Result<Option<Read>>;

/// The reads of one cache that are under way, and those that wait.
#[derive(Default)]
pub(crate) struct Reads {
    // Not a tokio mutex: nothing awaits under it.
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    alone: usize,
    readers: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    key: String,
    told: oneshot::Sender<Told>,
}

/// Where somebody who asks finds himself.
enum Place<'a> {
    Alone(Alone<'a>, String),
    Waits(oneshot::Receiver<Told>),
}

/// One who asks for himself.
struct Alone<'a>(&'a Reads);

/// Somebody who asks for those who wait. If he is cut off, another one can follow, or they know.
struct Reader {
    desk: Arc<Desk>,
    is_done: bool,
}

impl Desk {
    /// Asks the store for one key, together with others who ask at the same time. `end`: of who asks. Cancel-safe.
    pub(crate) async fn read(self: &Arc<Self>, end: Instant, key: String) -> Told {
        match self.line_up(key)? {
            // Boxed, so that those who wait carry none of it about.
            Place::Alone(alone, key) => Box::pin(alone.read(self, end, key)).await,
            Place::Waits(told) => match told.await {
                Ok(told) => told,
                Err(_) => Err(Error::unavailable("Nobody reads any more: its owner has stopped.")),
            },
        }
    }

    fn line_up(self: &Arc<Self>, key: String) -> Result<Place<'_>> {
        let mut line = hold(&self.reads.line);
        if line.alone < ALONE {
            line.alone += 1;
            return Ok(Place::Alone(Alone(&self.reads), key));
        }
        if line.waiting.len() >= LINE {
            return Err(Refused::new(Why::Bulkhead).into_error());
        }
        let (told, waits) = oneshot::channel();
        line.waiting.push_back(Waiting { key, told });
        let is_served = line.readers >= READERS;
        line.readers += usize::from(!is_served);
        drop(line);
        if !is_served {
            let reader = Reader { desk: self.clone(), is_done: false };
            drop(self.tasks.spawn("cache.far.read", reader.run()));
        }
        Ok(Place::Waits(waits))
    }
}

impl Alone<'_> {
    async fn read(self, desk: &Desk, end: Instant, key: String) -> Told {
        let ctx = Remote::ctx_until(end);
        let answer = desk.remote.store.read(&ctx, &desk.place, std::slice::from_ref(&key)).await?;
        Ok(Some(Read { key, token: answer.token, entry: answer.entries.into_iter().next().flatten() }))
    }
}

impl Reader {
    async fn run(mut self) {
        let desk = self.desk.clone();
        // Each of them has his own limit, and none is longer.
        let limit = desk.config.hard_timeout;
        while let Some(waiting) = self.next() {
            let (keys, told): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|waiting| (waiting.key, waiting.told)).unzip();
            let ctx = Remote::ctx(limit);
            let answer = match timeout(limit, desk.remote.store.read(&ctx, &desk.place, &keys)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::deadline("The second tier did not answer in time.")),
            };
            // Who is not there any more is not told.
            match answer {
                Ok(answer) => {
                    let token = answer.token;
                    for ((key, told), entry) in keys.into_iter().zip(told).zip(answer.entries) {
                        drop(told.send(Ok(Some(Read { key, token, entry }))));
                    }
                }
                Err(error) => {
                    let shared = Shared::new(error);
                    told.into_iter().for_each(|told| drop(told.send(Err(shared.clone().into_error()))));
                }
            }
        }
    }

    /// Those who wait and are still there, and whose keys nobody has invalidated meanwhile; none, and this one reads no more.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        loop {
            let mut line = hold(&self.desk.reads.line);
            if line.waiting.is_empty() {
                line.readers -= 1;
                self.is_done = true;
                return None;
            }
            let most = line.waiting.len().min(MOST);
            let mut waiting: Vec<Waiting> = line.waiting.drain(..most).collect();
            drop(line);
            waiting.retain(|waiting| !waiting.told.is_closed());
            let doubts = &self.desk.doubts;
            for doubtful in waiting.extract_if(.., |waiting| doubts.covers_key(&waiting.key)) {
                drop(doubtful.told.send(Ok(None)));
            }
            if !waiting.is_empty() {
                return Some(waiting);
            }
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        hold(&self.0.line).alone -= 1;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut line = hold(&self.desk.reads.line);
        line.readers -= 1;
        let left = if line.readers == 0 { std::mem::take(&mut line.waiting) } else { VecDeque::new() };
        drop(line);
        // Those are told by this.
        drop(left);
    }
}
