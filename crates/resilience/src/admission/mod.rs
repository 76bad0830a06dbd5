//! Who is let in, who waits, and who is turned away at once.
//!
//! What this is: the adaptive [`limit`](mod@limit), the priority [`line`](mod@line) in front of it, the ramp that refuses before
//! anybody queues, the load levels, and the processor's backstop, as one machine. A service asks it once per request and is either let
//! in, given a place to wait, or refused in microseconds. What it is not: a rate limit per user, or a bulkhead per route.
//!
//! ```text
//!                    past its deadline? ──────────────> refused
//!                            │
//!   admit ──> nobody waits and the limit has room ─────> Permit
//!                            │   (processor used up and sheddable: refused)
//!                            │
//!        level shed and its class waits already? ──────> refused
//!        the queue is long and it among the least? ────> refused      (ramp)
//!        the queue is full of greater ones? ───────────> refused
//!                            │
//!                         Waiting ── its turn ─────────> Permit
//!                            └─ too long, too late ────> refused      (CoDel, deadline)
//! ```
//!
//! # Invariants
//! - Never more permits out than the limit allows; each is given back exactly once, settled or dropped, also when the one who
//!   waited for it has gone.
//! - Nobody is let in past those who wait.
//! - Whenever there is room, nobody waits: whoever gives back a permit calls the next.
//! - Without anybody waiting a decision takes no lock, save once a second for the level.
//! - What a load level refuses does not keep the level up.
//!
//! # When it breaks
//! It sees what passes through it. A handler that never ends holds its permit for ever: deadlines end handlers, not this. It is local
//! to a process by design: each has its own processors, and a limit for all would have to be asked.
//!
//! # When not to use it
//! In front of something that must not be refused: health checks, the console, the calls that tell a node to stop.

pub mod cpu;
pub mod levels;
mod priority;
pub mod ramp;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use burgeon_core::Criticality;
use serde::{Deserialize, Serialize};

use self::cpu::Cpu;
pub use self::levels::Level;
use self::levels::Levels;
pub use self::priority::{Cohort, Priority};
use self::ramp::Ramp;
use self::waiting::Waiter;
pub use self::waiting::Waiting;
use crate::limit::{Freed, Limit};
use crate::line::{Line, Next};
use crate::sync::{Mutex, MutexGuard};
use crate::{Instant, Outcome, Refused, Why, limit, line};

/// The parts' configurations; every default is meant to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much at a time.
    pub limit: limit::Config,
    /// Who waits, and for how long.
    pub line: line::Config,
    /// Who is refused before he queues.
    pub ramp: ramp::Config,
    /// When it counts as bad.
    pub levels: levels::Config,
    /// When the processor counts as used up.
    pub cpu: cpu::Config,
    /// What a refused one is told to wait before he tries again. Default 1 s; whoever passes it on adds jitter.
    #[serde(with = "burgeon_core::units::duration")]
    pub retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limit: limit::Config::default(),
            line: line::Config::default(),
            ramp: ramp::Config::default(),
            levels: levels::Config::default(),
            cpu: cpu::Config::default(),
            retry_after: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// What is wrong with it, as a sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        self.limit.validate().map_err(|wrong| format!("limit: {wrong}"))?;
        self.line.validate().map_err(|wrong| format!("line: {wrong}"))?;
        self.ramp.validate()?;
        self.levels.validate()?;
        self.cpu.validate()
    }
}

/// The whole; clones are handles to the same one. See the [module](self).
///
/// ```
/// use burgeon_core::Criticality;
/// use burgeon_resilience::admission::{Admission, Cohort, Config, Entry, Priority};
/// use burgeon_resilience::{Instant, Outcome};
///
/// # async fn serve() -> Result<(), burgeon_resilience::Refused> {
/// let admission = Admission::new(Config::default());
/// let now = Instant::ORIGIN;
/// let priority = Priority::new(Criticality::Critical, Cohort::of(b"ada@example.org", 490_000));
/// let permit = match admission.admit(now, priority, None)? {
///     Entry::Admitted(permit) => permit,
///     Entry::Waiting(waiting) => waiting.await?, // with a timer beside it: `waiting.until()`
/// };
/// // ... the request ...
/// permit.settle(now, Outcome::Ok);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

/// Not refused.
#[derive(Debug)]
pub enum Entry {
    /// Go ahead.
    Admitted(Permit),
    /// Wait for your turn.
    Waiting(Waiting),
}

/// The right to be in flight, until it is settled or dropped.
#[must_use = "a permit that is dropped was cancelled"]
pub struct Permit {
    admission: Admission,
    /// `None` once settled.
    slot: Option<limit::Permit>,
}

/// What a person sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// How bad it is.
    pub level: Level,
    /// Whether a person chose the level.
    pub pinned: bool,
    /// How much at a time.
    pub limit: limit::View,
    /// Who waits.
    pub line: line::View,
    /// The share of arrivals that is refused because of the queue's length, 0 to 1.
    pub refused: f64,
    /// The average use of the processor, 0 to 1; 0 when nobody observes it.
    pub cpu: f64,
}

struct Inner {
    config: Config,
    limit: Limit,
    ramp: Ramp,
    levels: Levels,
    cpu: Cpu,
    line: Mutex<Line<Arc<Waiter>>>,
}

impl Admission {
    /// Everything at its initial value.
    ///
    /// # Panics
    /// If the configuration does not [`validate`](Config::validate).
    #[track_caller]
    pub fn new(config: Config) -> Self {
        let valid = config.validate();
        assert!(valid.is_ok(), "admission cannot be made of this: {valid:?}");
        Self(Arc::new(Inner {
            limit: Limit::new(config.limit.clone()),
            ramp: Ramp::new(config.ramp.clone()),
            levels: Levels::new(config.levels.clone()),
            cpu: Cpu::new(&config.cpu),
            line: Mutex::new(Line::new(config.line.clone())),
            config,
        }))
    }

    /// Lets in, gives a place to wait, or refuses.
    ///
    /// The priority must be what the caller may claim, not what he does claim.
    pub fn admit(
        &self,
        now: Instant,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Entry, Refused> {
        let inner = &*self.0;
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refused::new(Why::Deadline));
        }
        inner.ramp.note(now, priority);
        match inner.limit.admit(now) {
            // Where the limit is reached, the line knows better who has to wait.
            Ok(slot) if inner.cpu.trims(now, priority) => {
                self.pass_on(slot, now);
                Err(self.shed(now, Why::ShedClass))
            }
            Ok(slot) => {
                inner.levels.count(now, false);
                Ok(Entry::Admitted(Permit::new(self.clone(), slot)))
            }
            Err(_) => self.join_line(now, priority, deadline).map(Entry::Waiting),
        }
    }

    /// How bad it is.
    pub fn level(&self, now: Instant) -> Level {
        self.0.levels.level(now)
    }

    /// Holds the level where a person wants it, `None` lets it go. It goes on watching meanwhile.
    pub fn pin(&self, level: Option<Level>) {
        self.0.levels.pin(level);
    }

    /// The share of the processors one may use, 0 to 1, that was used since the last observation. Meant to be called by one task, several
    /// times per second; without it there is no backstop.
    pub fn observe_cpu(&self, now: Instant, used: f64) {
        self.0.cpu.observe(now, used);
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        let inner = &*self.0;
        let line = self.line().view(now);
        View {
            level: self.level(now),
            pinned: inner.levels.is_pinned(),
            refused: inner.ramp.share(line.waiting, inner.limit.current()),
            limit: inner.limit.view(),
            line,
            cpu: inner.cpu.average(),
        }
    }

    #[cold]
    fn join_line(
        &self,
        now: Instant,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Waiting, Refused> {
        let inner = &*self.0;
        let class = priority.criticality();
        let level = self.level(now);
        let mut line = self.line();
        if level == Level::Shed && class < Criticality::Critical && line.len_of(class) > 0 {
            // Not counted: the level would hold itself up. The one place keeps the reserved turns theirs.
            return Err(self.refusal(Why::ShedClass));
        }
        if inner.ramp.refuses(priority, line.len(), inner.limit.current()) {
            drop(line);
            return Err(self.shed(now, Why::ShedClass));
        }
        let waiter = Waiter::new();
        let Ok(pushed) = line.push(now, class, deadline, Arc::clone(&waiter)) else {
            drop(line);
            return Err(self.shed(now, Why::ShedQueue));
        };
        inner.limit.want();
        drop(line);

        inner.levels.count(now, false);
        if let Some(displaced) = pushed.displaced {
            // Told, if he is still there to hear it.
            let _ = displaced.answer(Err(self.late(now, Why::ShedQueue)));
        }
        // A permit may have come back before it was wanted.
        self.call_next(now);
        let patience = inner.config.line.codel.as_ref().map(|codel| now.plus(codel.interval));
        let until = [patience, deadline].into_iter().flatten().min();
        let until = until.unwrap_or(Instant::from_micros(u64::MAX));
        Ok(Waiting::new(self.clone(), waiter, pushed.key, until, deadline))
    }

    /// Gives back a slot that was not used.
    fn pass_on(&self, slot: limit::Permit, now: Instant) {
        if slot.abandon() == Freed::Wanted {
            self.call_next(now);
        }
    }

    /// Lets in whoever's turn it is, as long as there is room, and tells those who waited too long.
    fn call_next(&self, now: Instant) {
        while let Some((waiter, answer)) = self.next(now) {
            // Who has gone meanwhile gives it back, and there is room for the one after him.
            drop(waiter.answer(answer));
        }
    }

    fn next(&self, now: Instant) -> Option<(Arc<Waiter>, Result<limit::Permit, Refused>)> {
        let limit = &self.0.limit;
        let mut line = self.line();
        // A permit that was dropped knows no time.
        let now = now.max(line.latest());
        let (next, slot) = match line.late(now) {
            Some(late) => (Some(late), None),
            None if line.is_empty() => (None, None),
            None => {
                let slot = limit.admit_waiting(now).ok()?;
                (line.next(now), Some(slot))
            }
        };
        if line.is_empty() {
            limit.want_no_more();
        }
        drop(line);
        match (next?, slot) {
            (Next::Serve { item, .. }, Some(slot)) => Some((item, Ok(slot))),
            (next, slot) => {
                drop(slot);
                Some((next.into_item(), Err(self.late(now, Why::ShedQueue))))
            }
        }
    }

    fn leave_line(&self, key: line::Key) {
        let mut line = self.line();
        if line.cancel(key).is_some() && line.is_empty() {
            self.0.limit.want_no_more();
        }
    }

    /// A refusal that counts towards the level.
    fn shed(&self, now: Instant, why: Why) -> Refused {
        self.0.levels.count(now, true);
        self.refusal(why)
    }

    /// A refusal of one who was counted when he began to wait.
    fn late(&self, now: Instant, why: Why) -> Refused {
        self.0.levels.late(now);
        self.refusal(why)
    }

    fn refusal(&self, why: Why) -> Refused {
        Refused::until(why, self.0.config.retry_after)
    }

    fn line(&self) -> MutexGuard<'_, Line<Arc<Waiter>>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    fn new(admission: Admission, slot: limit::Permit) -> Self {
        Self { admission, slot: Some(slot) }
    }

    /// It ended like this; the next is called.
    pub fn settle(mut self, now: Instant, outcome: Outcome) {
        if self.slot.take().is_some_and(|slot| slot.give_back(now, outcome) == Freed::Wanted) {
            self.admission.call_next(now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.admission.pass_on(slot, Instant::ORIGIN);
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("slot", &self.slot).finish_non_exhaustive()
    }
}
