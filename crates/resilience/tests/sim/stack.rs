//! Ours: the real thing, asked as a server asks it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use burgeon_resilience::admission::{Admission, Config, Entry, Level, Permit, Priority, Waiting};
use burgeon_resilience::{Instant, Outcome, Refused, limit};

use super::policy::{Policy, Verdict};

/// [`Admission`] with the futures of those who wait polled by hand.
pub struct Stack {
    pub admission: Admission,
    running: HashMap<u32, Permit>,
    waiting: HashMap<u32, Waiting>,
    called: Arc<Called>,
    /// Whether the processor is told to it.
    pub watch_cpu: bool,
}

/// Whose wakers were called, in order.
#[derive(Default)]
struct Called(Mutex<Vec<u32>>);

struct Call(Arc<Called>, u32);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.0.0.lock().expect("no panic under it").push(self.1);
    }
}

impl Stack {
    pub fn new(config: Config) -> Self {
        Self {
            admission: Admission::new(config),
            running: HashMap::new(),
            waiting: HashMap::new(),
            called: Arc::default(),
            watch_cpu: true,
        }
    }

    /// With a limit that stays where it is.
    pub fn fixed(limit: u32) -> Self {
        Self::new(Config { limit: limit::Config::fixed(limit), ..Config::default() })
    }

    pub fn level(&self, now: Instant) -> Level {
        self.admission.level(now)
    }

    fn poll(&mut self, attempt: u32) -> Poll<Result<Permit, Refused>> {
        let waker = Waker::from(Arc::new(Call(Arc::clone(&self.called), attempt)));
        match self.waiting.get_mut(&attempt) {
            Some(waiting) => Pin::new(waiting).poll(&mut Context::from_waker(&waker)),
            None => Poll::Pending,
        }
    }

    fn decided(&mut self, attempt: u32, answer: Result<Permit, Refused>) -> Verdict {
        self.waiting.remove(&attempt);
        match answer {
            Ok(permit) => {
                self.running.insert(attempt, permit);
                Verdict::Start
            }
            Err(_) => Verdict::Refuse,
        }
    }
}

impl Policy for Stack {
    fn arrive(&mut self, now: Instant, attempt: u32, priority: Priority, deadline: Instant) -> Verdict {
        match self.admission.admit(now, priority, Some(deadline)) {
            Ok(Entry::Admitted(permit)) => self.decided(attempt, Ok(permit)),
            Ok(Entry::Waiting(waiting)) => {
                let until = waiting.until();
                self.waiting.insert(attempt, waiting);
                match self.poll(attempt) {
                    Poll::Ready(answer) => self.decided(attempt, answer),
                    Poll::Pending => Verdict::Wait(Some(until)),
                }
            }
            Err(_) => Verdict::Refuse,
        }
    }

    fn end(&mut self, now: Instant, attempt: u32, late: bool) {
        // A handler that ran past its deadline was timed out.
        let outcome = if late { Outcome::Fail } else { Outcome::Ok };
        self.running.remove(&attempt).expect("it was admitted").settle(now, outcome);
    }

    fn next(&mut self, _now: Instant) -> Option<(u32, Verdict)> {
        loop {
            let attempt = {
                let mut called = self.called.0.lock().expect("no panic under it");
                if called.is_empty() {
                    return None;
                }
                called.remove(0)
            };
            if let Poll::Ready(answer) = self.poll(attempt) {
                return Some((attempt, self.decided(attempt, answer)));
            }
        }
    }

    fn give_up(&mut self, now: Instant, attempt: u32) -> Option<Verdict> {
        let waiting = self.waiting.remove(&attempt)?;
        let answer = waiting.give_up(now);
        Some(self.decided(attempt, answer))
    }

    fn cpu(&mut self, now: Instant, used: f64) {
        if self.watch_cpu {
            self.admission.observe_cpu(now, used);
        }
    }

    fn limit(&self) -> Option<u32> {
        Some(self.admission.view(Instant::ORIGIN).limit.limit)
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
