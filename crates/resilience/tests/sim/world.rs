//! Clients, server and policy, one event after the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use burgeon_core::Criticality;
use burgeon_resilience::Instant;
use burgeon_resilience::admission::{Cohort, Priority};
use burgeon_resilience::budget::{self, Budget};
use burgeon_resilience::random::{self, Dice};

use super::policy::{Policy, Verdict};
use super::record::Record;
use super::scenario::{Retries, Scenario, Work};
use super::server::Server;

/// Plays the scenario against the policy.
pub fn run(scenario: &Scenario, policy: &mut dyn Policy) -> Record {
    let mut world = World::new(scenario, policy);
    world.play();
    world.record
}

struct World<'a> {
    scenario: &'a Scenario,
    policy: &'a mut dyn Policy,
    server: Server,
    dice: Dice,
    budget: Budget,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    requests: Vec<Request>,
    attempts: Vec<Attempt>,
    observed: u64,
    record: Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A new request of this class.
    Request(usize),
    /// A request tries again.
    Attempt(u32),
    /// The client of an attempt has waited long enough.
    Deadline(u32),
    /// The policy said that an attempt is not to wait beyond this moment.
    GiveUp(u32),
    /// What an attempt depends on has answered; its own work begins.
    Answered(u32),
    Cores,
    Observe,
}

struct Request {
    class: usize,
    user: u64,
    attempts: u32,
    /// Counted as in flight by the budget until it is answered or given up.
    deposit: Option<budget::Deposit>,
}

struct Attempt {
    request: u32,
    at: u64,
    state: State,
    /// Whether the client still waits for it.
    wanted: bool,
    retry: Option<budget::Withdrawal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
    Over,
}

const SECOND: f64 = 1_000_000.0;
const OBSERVE: u64 = 250_000;

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, policy: &'a mut dyn Policy) -> Self {
        let mut world = Self {
            server: Server::new(scenario.cores_at(0.0), scenario.contention),
            dice: Dice::seeded(scenario.seed),
            budget: Budget::new(budget::Config::default()),
            events: BinaryHeap::new(),
            scheduled: 0,
            requests: Vec::new(),
            attempts: Vec::new(),
            observed: 0,
            record: Record::new(scenario),
            scenario,
            policy,
        };
        for class in 0..4 {
            world.schedule_request(0, class);
        }
        for (from, _) in &scenario.cores[1..] {
            world.schedule((from * SECOND) as u64, Event::Cores);
        }
        world.schedule(OBSERVE, Event::Observe);
        world
    }

    fn play(&mut self) {
        let ends = (self.scenario.ends() * SECOND) as u64;
        loop {
            let event = self.events.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let end = self.server.next_end().unwrap_or(u64::MAX);
            let now = event.min(end);
            if now >= ends {
                return;
            }
            if end <= event {
                if let Some(attempt) = self.server.end(now) {
                    self.end(now, attempt);
                }
            } else if let Some(Reverse((_, _, event))) = self.events.pop() {
                self.happen(now, event);
            }
            while let Some((attempt, verdict)) = self.policy.next(Instant::from_micros(now)) {
                self.obey(now, attempt, verdict);
            }
        }
    }

    fn happen(&mut self, now: u64, event: Event) {
        match event {
            Event::Request(class) => {
                self.schedule_request(now, class);
                let user = random::below(self.dice.roll(), self.scenario.users);
                let deposit = Some(self.budget.deposit(Instant::from_micros(now)));
                self.requests.push(Request { class, user, attempts: 0, deposit });
                self.record.offered(now, class);
                self.attempt(now, self.requests.len() as u32 - 1, None);
            }
            Event::Attempt(attempt) => self.knock(now, attempt),
            Event::Deadline(attempt) => self.client_gives_up(now, attempt),
            Event::GiveUp(attempt) => {
                if self.attempts[attempt as usize].state == State::Waits
                    && let Some(verdict) = self.policy.give_up(Instant::from_micros(now), attempt)
                {
                    self.obey(now, attempt, verdict);
                }
            }
            Event::Answered(attempt) => self.work(now, attempt),
            Event::Cores => self.server.set_cores(now, self.scenario.cores_at(now as f64 / SECOND)),
            Event::Observe => {
                let used = self.server.take_used(now, self.observed);
                self.observed = now;
                self.policy.cpu(Instant::from_micros(now), used);
                self.record.observed(now, self.policy.limit(), self.policy.waiting());
                self.schedule(now + OBSERVE, Event::Observe);
            }
        }
    }

    /// The client of a request makes an attempt, now or after a short pause.
    fn attempt(&mut self, now: u64, request: u32, retry: Option<budget::Withdrawal>) {
        self.requests[request as usize].attempts += 1;
        let pause = if self.requests[request as usize].attempts == 1 {
            0
        } else {
            random::below(self.dice.roll(), 20_000)
        };
        let attempt = self.attempts.len() as u32;
        self.attempts.push(Attempt { request, at: now + pause, state: State::Waits, wanted: true, retry });
        if pause == 0 {
            self.knock(now, attempt);
        } else {
            self.schedule(now + pause, Event::Attempt(attempt));
        }
    }

    fn knock(&mut self, now: u64, attempt: u32) {
        self.record.attempted(now);
        let request = &self.requests[self.attempts[attempt as usize].request as usize];
        let class = Criticality::ALL[request.class];
        let priority = Priority::new(class, Cohort::of(&request.user.to_le_bytes(), 0));
        let deadline = now + self.scenario.deadline.as_micros() as u64;
        self.schedule(deadline, Event::Deadline(attempt));
        let verdict =
            self.policy.arrive(Instant::from_micros(now), attempt, priority, Instant::from_micros(deadline));
        self.obey(now, attempt, verdict);
    }

    fn obey(&mut self, now: u64, attempt: u32, verdict: Verdict) {
        match verdict {
            Verdict::Start => {
                let one = &mut self.attempts[attempt as usize];
                one.state = State::Runs;
                if !one.wanted {
                    self.record.started_late(now);
                }
                match self.dependency(now) {
                    Some(answers) => self.schedule(answers, Event::Answered(attempt)),
                    None => self.work(now, attempt),
                }
            }
            Verdict::Wait(until) => {
                if let Some(until) = until {
                    self.schedule(until.as_micros(), Event::GiveUp(attempt));
                }
            }
            Verdict::Refuse => {
                let one = &mut self.attempts[attempt as usize];
                one.state = State::Over;
                let (wanted, waited) = (one.wanted, now - one.at);
                let class = self.requests[one.request as usize].class;
                self.record.refused(now, class, waited);
                if wanted {
                    self.failed(now, attempt);
                }
            }
        }
    }

    fn work(&mut self, now: u64, attempt: u32) {
        let mean = self.scenario.mean_work(now as f64 / SECOND) * 1_000.0;
        let mean = match self.scenario.work {
            Work::Exponential | Work::Drifting(_) => mean,
            Work::Bimodal if random::unit(self.dice.roll()) < 0.9 => 0.5 * mean,
            Work::Bimodal => 5.5 * mean,
        };
        let work = self.exponential(mean);
        self.server.start(now, attempt, work);
    }

    /// Nobody stops a job whose client has gone: it ends here too, as a zombie.
    fn end(&mut self, now: u64, attempt: u32) {
        let one = &mut self.attempts[attempt as usize];
        one.state = State::Over;
        let (wanted, took) = (one.wanted, now - one.at);
        let request = &mut self.requests[one.request as usize];
        let class = request.class;
        if wanted {
            one.wanted = false;
            one.retry = None;
            request.deposit = None;
            self.record.served(now, class, took);
        }
        self.policy.end(Instant::from_micros(now), attempt, !wanted);
    }

    fn client_gives_up(&mut self, now: u64, attempt: u32) {
        let one = &self.attempts[attempt as usize];
        if one.wanted && one.state != State::Over {
            self.record.late(now);
            self.failed(now, attempt);
        }
    }

    fn failed(&mut self, now: u64, attempt: u32) {
        let one = &mut self.attempts[attempt as usize];
        one.wanted = false;
        one.retry = None;
        let request = one.request;
        let retry = match self.scenario.retries {
            _ if self.requests[request as usize].attempts > 2 => None,
            Retries::Never => None,
            Retries::Always => Some(None),
            Retries::Budgeted => self.budget.withdraw(Instant::from_micros(now)).ok().map(Some),
        };
        match retry {
            Some(withdrawal) => self.attempt(now, request, withdrawal),
            None => self.requests[request as usize].deposit = None,
        }
    }

    fn dependency(&mut self, now: u64) -> Option<u64> {
        let (start, end) = self.scenario.dependency?;
        let passed = now as f64 / SECOND / self.scenario.ends();
        let mean = (start + (end - start) * passed) * 1_000.0;
        Some(now + self.exponential(mean) as u64)
    }

    /// Poisson arrivals. Nothing is remembered between them, so at a change of the rate the next is drawn anew.
    fn schedule_request(&mut self, now: u64, class: usize) {
        let mut from = now as f64 / SECOND;
        for (until, rates) in &self.scenario.load {
            if *until <= from || rates[class] <= 0.0 {
                from = from.max(*until);
                continue;
            }
            let at = from + self.exponential(1.0 / rates[class]);
            if at < *until {
                self.schedule((at * SECOND) as u64, Event::Request(class));
                return;
            }
            from = *until;
        }
    }

    fn exponential(&self, mean: f64) -> f64 {
        -mean * (1.0 - random::unit(self.dice.roll())).ln()
    }

    fn schedule(&mut self, at: u64, event: Event) {
        // In the order they were scheduled, when at the same moment: a run is one order of events.
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }
}
