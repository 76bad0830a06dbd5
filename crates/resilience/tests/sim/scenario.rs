//! What happens to the server: load by class over time, the work, the clients' patience and their retries.

use std::time::Duration;

use burgeon_core::Criticality;

/// A run to be made. Times are in seconds, work in milliseconds; 8 cores at 10 ms each serve 800 requests per second.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub seed: u64,
    /// Offered load: until this second, these requests per second of each class, least critical first.
    pub load: Vec<(f64, [f64; 4])>,
    /// From this second on, so many cores.
    pub cores: Vec<(f64, f64)>,
    pub work: Work,
    /// Milliseconds in which something else works for a request while it holds its slot, from the first number at the start
    /// to the second at the end.
    pub dependency: Option<(f64, f64)>,
    /// What each job beyond the 32nd costs all others.
    pub contention: f64,
    /// For how long a client waits for an attempt.
    pub deadline: Duration,
    pub retries: Retries,
    /// How many different users there are.
    pub users: u64,
}

/// How long a request keeps a core busy. All have a mean of 10 ms at the start.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Exponential.
    Exponential,
    /// Nine of ten are short (5 ms), one is long (55 ms), each exponential.
    Bimodal,
    /// Exponential, from 10 ms at the start to so many at the end.
    Drifting(f64),
}

/// What a client does whose attempt was refused or came too late. At most two more attempts, each after 0 to 20 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retries {
    Never,
    Always,
    /// Out of the budget of [`burgeon_resilience::budget`].
    Budgeted,
}

impl Scenario {
    /// Half load, 40 s of `rate`, half load again; all of one class.
    pub fn overload(name: &'static str, rate: f64) -> Self {
        let load = vec![(20.0, critical(400.0)), (60.0, critical(rate)), (100.0, critical(400.0))];
        Self {
            name,
            seed: 1,
            load,
            cores: vec![(0.0, 8.0)],
            work: Work::Exponential,
            dependency: None,
            contention: 0.003,
            deadline: Duration::from_millis(200),
            retries: Retries::Never,
            users: 1_000,
        }
    }

    /// Three quarters of the capacity, ten seconds of twice of it, and long enough afterwards to see whether it comes back.
    pub fn spike(retries: Retries) -> Self {
        Self {
            load: vec![(20.0, critical(600.0)), (30.0, critical(1_600.0)), (100.0, critical(600.0))],
            contention: 0.0,
            retries,
            ..Self::overload("spike", 0.0)
        }
    }

    /// Twice the capacity for ten minutes.
    pub fn long() -> Self {
        let load = vec![(20.0, critical(400.0)), (620.0, critical(1_600.0)), (640.0, critical(400.0))];
        Self { load, ..Self::overload("ten minutes", 0.0) }
    }

    /// Half the capacity for ten minutes.
    pub fn half_load() -> Self {
        Self { load: vec![(600.0, critical(400.0))], ..Self::overload("half load", 0.0) }
    }

    /// Three quarters of the capacity, of which half is lost for forty seconds.
    pub fn halving() -> Self {
        Self {
            load: vec![(100.0, critical(600.0))],
            cores: vec![(0.0, 8.0), (20.0, 4.0), (60.0, 8.0)],
            ..Self::overload("halving", 0.0)
        }
    }

    /// One and a half times the capacity, and the work grows to the double: what can be served sinks from 800 to 400.
    pub fn drift() -> Self {
        Self {
            load: vec![(120.0, critical(1_200.0))],
            work: Work::Drifting(20.0),
            ..Self::overload("drift", 0.0)
        }
    }

    /// Twice the capacity, of all classes; the most critical alone would fit easily.
    pub fn classes() -> Self {
        let half = [100.0, 100.0, 100.0, 100.0];
        let load = vec![(20.0, half), (60.0, [600.0, 400.0, 400.0, 200.0]), (100.0, half)];
        Self { load, ..Self::overload("classes", 0.0) }
    }

    /// Half the capacity; then the least critical class comes with twelve times its load.
    pub fn prefetch_storm() -> Self {
        let half = [200.0, 50.0, 50.0, 100.0];
        let load = vec![(20.0, half), (60.0, [2_400.0, 50.0, 50.0, 100.0]), (100.0, half)];
        Self { load, ..Self::overload("prefetch storm", 0.0) }
    }

    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The last second.
    pub fn ends(&self) -> f64 {
        self.load.last().map_or(0.0, |(until, _)| *until)
    }

    pub fn rates(&self, second: f64) -> [f64; 4] {
        self.load.iter().find(|(until, _)| second < *until).map_or([0.0; 4], |(_, rates)| *rates)
    }

    pub fn cores_at(&self, second: f64) -> f64 {
        self.cores.iter().rev().find(|(from, _)| second >= *from).map_or(0.0, |(_, cores)| *cores)
    }

    /// The mean work in milliseconds.
    pub fn mean_work(&self, second: f64) -> f64 {
        match self.work {
            Work::Exponential | Work::Bimodal => 10.0,
            Work::Drifting(end) => 10.0 + (end - 10.0) * second / self.ends(),
        }
    }

    /// Requests per second that could be served.
    pub fn capacity(&self, second: f64) -> f64 {
        self.cores_at(second) * 1_000.0 / self.mean_work(second)
    }
}

/// So many requests per second of the default class.
pub fn critical(rate: f64) -> [f64; 4] {
    let mut rates = [0.0; 4];
    rates[Criticality::Critical as usize] = rate;
    rates
}
