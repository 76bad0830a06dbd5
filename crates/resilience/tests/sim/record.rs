//! What came of a run, second by second.

use std::ops::Range;

use super::scenario::Scenario;

/// The bookkeeping of one run.
#[derive(Debug, Clone)]
pub struct Record {
    pub scenario: Scenario,
    pub seconds: Vec<Second>,
}

/// One second of a run. What is counted by class is counted least critical first.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// Requests that came, each once, however often it was tried.
    pub offered: [u32; 4],
    pub attempts: u32,
    /// Answered before the deadline.
    pub served: [u32; 4],
    pub refused: [u32; 4],
    /// Attempts whose client gave up.
    pub late: u32,
    /// Attempts that were started when nobody waited for them any more.
    pub started_late: u32,
    /// Response times of the served, in microseconds.
    pub took: Vec<u32>,
    /// After how long the refused were told, in microseconds.
    pub told: Vec<u32>,
    pub limit: Option<u32>,
    pub waiting: usize,
}

impl Record {
    pub fn new(scenario: &Scenario) -> Self {
        let seconds = vec![Second::default(); scenario.ends().ceil() as usize];
        Self { scenario: scenario.clone(), seconds }
    }

    /// Requests served per second.
    pub fn goodput(&self, seconds: Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        self.sum(seconds, |second| second.served.iter().sum()) / length
    }

    /// Served, of what could have been: the lesser of what was offered and the capacity.
    pub fn share_of_capacity(&self, seconds: Range<usize>) -> f64 {
        let could = |second: usize| {
            let offered: f64 = self.scenario.rates(second as f64 + 0.5).iter().sum();
            offered.min(self.scenario.capacity(second as f64 + 0.5))
        };
        self.goodput(seconds.clone()) * seconds.len() as f64 / seconds.map(could).sum::<f64>()
    }

    /// Served, of those of a class that came. Above or below by those at the borders.
    pub fn share_of_class(&self, class: usize, seconds: Range<usize>) -> f64 {
        let offered = self.sum(seconds.clone(), |second| second.offered[class]);
        self.sum(seconds, |second| second.served[class]) / offered
    }

    /// The response time in milliseconds that so many of 100 served stay below.
    pub fn percentile(&self, percent: f64, seconds: Range<usize>) -> f64 {
        percentile(percent, self.seconds[seconds].iter().flat_map(|second| &second.took))
    }

    /// The same for the time after which the refused are told.
    pub fn told(&self, percent: f64, seconds: Range<usize>) -> f64 {
        percentile(percent, self.seconds[seconds].iter().flat_map(|second| &second.told))
    }

    /// Attempts per request.
    pub fn amplification(&self, seconds: Range<usize>) -> f64 {
        let offered = self.sum(seconds.clone(), |second| second.offered.iter().sum());
        self.sum(seconds, |second| second.attempts) / offered
    }

    /// Attempts that were started for nobody, in all.
    pub fn started_for_nobody(&self) -> u32 {
        self.seconds.iter().map(|second| second.started_late).sum()
    }

    /// The greatest limit at the end of a second.
    pub fn greatest_limit(&self, seconds: Range<usize>) -> u32 {
        self.seconds[seconds].iter().filter_map(|second| second.limit).max().unwrap_or(0)
    }

    /// Refused per second.
    pub fn refusals(&self, seconds: Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        self.sum(seconds, |second| second.refused.iter().sum()) / length
    }

    /// After how many seconds from the given one on everything that comes is served again, and stays so for three seconds; `None` if
    /// that never happens.
    pub fn recovers_after(&self, from: usize) -> Option<usize> {
        let well = |second: &Second| {
            let offered: u32 = second.offered.iter().sum();
            let served: u32 = second.served.iter().sum();
            f64::from(served) >= 0.97 * f64::from(offered)
        };
        self.seconds[from..].windows(3).position(|seconds| seconds.iter().all(well))
    }

    pub(super) fn offered(&mut self, now: u64, class: usize) {
        self.at(now).offered[class] += 1;
    }

    pub(super) fn attempted(&mut self, now: u64) {
        self.at(now).attempts += 1;
    }

    pub(super) fn served(&mut self, now: u64, class: usize, took: u64) {
        let second = self.at(now);
        second.served[class] += 1;
        second.took.push(took as u32);
    }

    pub(super) fn refused(&mut self, now: u64, class: usize, waited: u64) {
        let second = self.at(now);
        second.refused[class] += 1;
        second.told.push(waited as u32);
    }

    pub(super) fn started_late(&mut self, now: u64) {
        self.at(now).started_late += 1;
    }

    pub(super) fn late(&mut self, now: u64) {
        self.at(now).late += 1;
    }

    pub(super) fn observed(&mut self, now: u64, limit: Option<u32>, waiting: usize) {
        let second = self.at(now);
        second.limit = limit;
        second.waiting = waiting;
    }

    fn at(&mut self, now: u64) -> &mut Second {
        &mut self.seconds[(now / 1_000_000) as usize]
    }

    fn sum(&self, seconds: Range<usize>, of: impl Fn(&Second) -> u32) -> f64 {
        self.seconds[seconds].iter().map(|second| f64::from(of(second))).sum()
    }
}

fn percentile<'a>(percent: f64, values: impl Iterator<Item = &'a u32>) -> f64 {
    let mut values: Vec<u32> = values.copied().collect();
    if values.is_empty() {
        return 0.0;
    }
    let index = ((values.len() - 1) as f64 * percent / 100.0) as usize;
    let (_, value, _) = values.select_nth_unstable(index);
    f64::from(*value) / 1_000.0
}
