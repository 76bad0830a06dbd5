//! The arithmetic: from what a window saw to the next limit. Pure, single-threaded, a few dozen floats.

use super::Config;

/// What happened between two decisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// Calls that give a response time.
    pub(super) samples: u32,
    /// Their mean response time in microseconds.
    pub(super) mean: f64,
    /// The most calls that were in flight at one time.
    pub(super) in_flight: u32,
    /// Calls that whatever is below shed.
    pub(super) shed: u32,
}

/// The limit and what it is derived from.
#[derive(Debug)]
pub(super) struct Gradient2 {
    config: Config,
    limit: f64,
    /// The response time that counts as unloaded, in microseconds.
    baseline: f64,
    /// How many windows the baseline has seen, up to [`WARM`].
    windows: u32,
    /// Full windows since the last probe, and after how many the next one is due.
    full: u32,
    probe_after: u32,
    probing: bool,
    /// What the probe has seen so far: calls, and the sum of their response times.
    probed: (u32, f64),
}

/// So many windows are averaged before the baseline becomes a moving one.
const WARM: u32 = 10;
/// How fast the baseline follows: an exponential average over 600 windows, a minute of them.
const FOLLOW: f64 = 2.0 / 601.0;
/// The least factor that one window's gradient may ask for.
const STEEPEST: f64 = 0.5;
/// The part of the way to the wanted limit that is gone in one window.
const STEP: f64 = 0.2;
/// The room above the gradient's limit that lets it grow: so many times its square root, and no less than so many.
const HEADROOM: (f64, f64) = (1.5, 4.0);
/// From this share of shed calls on, what is below is overloaded and not merely unlucky.
const SHED_SHARE: f64 = 0.05;
/// A limit so many times what was ever in flight has not been tried.
const UNTRIED: f64 = 5.0;
/// The part of the limit that is left during a probe: little enough that the queue below goes, enough that the work goes on.
const PROBE: f64 = 0.7;
/// Full windows before the first probe, and at most between two: 3 s and 10 s.
const PROBE_FIRST: u32 = 30;
const PROBE_LAST: u32 = 100;
/// So many calls are probed; fewer would be too noisy to be believed.
const PROBE_CALLS: u32 = 200;
/// How far the baseline goes to what a probe measured.
const PROBE_WEIGHT: f64 = 0.75;

impl Gradient2 {
    pub(super) fn new(config: Config) -> Self {
        let limit = f64::from(config.initial);
        Self {
            config,
            limit,
            baseline: 0.0,
            windows: 0,
            full: 0,
            probe_after: PROBE_FIRST,
            probing: false,
            probed: (0, 0.0),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        let limit = if self.probing { self.clamped(PROBE * self.limit) } else { self.limit };
        limit as u32
    }

    /// In microseconds; zero before the first window.
    pub(super) fn baseline(&self) -> f64 {
        self.baseline
    }

    /// Whether the next window is to be of calls that began in it.
    pub(super) fn is_probing(&self) -> bool {
        self.probing
    }

    /// Takes in a window. The new limit is in [`limit`](Self::limit).
    pub(super) fn learn(&mut self, seen: &Seen) {
        if self.probing {
            self.probe(seen);
            return;
        }
        let full = seen.in_flight >= self.limit();
        if seen.samples > 0 {
            self.follow(seen.mean, full);
        }
        let most = f64::from(seen.in_flight);
        if most < self.limit / 2.0 {
            // The load and not the limit decided how many were in flight: the window says nothing about the limit, save
            // that one far above it has not been tried and must not be there when the next storm comes.
            if self.limit > UNTRIED * most {
                let sunk = self.limit - self.limit.log10().max(1.0);
                self.limit = sunk.max(f64::from(self.config.initial).min(self.limit));
            }
            return;
        }
        let mut limit = self.limit;
        if seen.samples > 0 {
            let gradient = (self.config.tolerance * self.baseline / seen.mean).clamp(STEEPEST, 1.0);
            let wanted = gradient * self.limit + headroom(self.limit);
            limit = (1.0 - STEP) * self.limit + STEP * wanted;
        }
        if !full {
            // Nobody was kept out, so more would have let in nobody more.
            limit = limit.min(self.limit);
        }
        if f64::from(seen.shed) > SHED_SHARE * f64::from(seen.samples + seen.shed) {
            limit = limit.min(0.9 * self.limit);
        }
        self.limit = self.clamped(limit);
        if full && self.config.probe {
            self.full += 1;
            if self.full >= self.probe_after {
                self.probing = true;
                self.full = 0;
                self.probe_after = (2 * self.probe_after).min(PROBE_LAST);
            }
        }
    }

    fn probe(&mut self, seen: &Seen) {
        let (calls, sum) = self.probed;
        self.probed = (calls + seen.samples, sum + seen.mean * f64::from(seen.samples));
        let (calls, sum) = self.probed;
        if calls < PROBE_CALLS {
            return;
        }
        self.baseline += (sum / f64::from(calls) - self.baseline) * PROBE_WEIGHT;
        self.probing = false;
        self.probed = (0, 0.0);
    }

    fn follow(&mut self, mean: f64, full: bool) {
        if self.windows < WARM {
            self.windows += 1;
            self.baseline += (mean - self.baseline) / f64::from(self.windows);
        } else if !full || !self.config.probe {
            // A full window measured its own queue as well. To learn from it would raise the limit, which lengthens the queue, and so
            // on; how long the work takes then a probe tells.
            self.baseline += (mean - self.baseline) * FOLLOW;
        }
        if self.baseline > 2.0 * mean {
            // After a long overload the average has learned bad times; it forgets them faster than it learned them.
            self.baseline *= 0.9;
        }
    }

    fn clamped(&self, limit: f64) -> f64 {
        limit.clamp(f64::from(self.config.min), f64::from(self.config.max))
    }
}

fn headroom(limit: f64) -> f64 {
    let (times, least) = HEADROOM;
    (times * limit.sqrt()).max(least)
}
