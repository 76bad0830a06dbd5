//! Gradient2 as it comes (Netflix's concurrency-limits), and with failsafe-go's guard: does throughput still go along with what is in
//! flight?

use super::limited::{Rule, Seen};

#[derive(Default)]
pub struct Gradient2 {
    baseline: f64,
    windows: f64,
    guard: Option<Guard>,
}

impl Gradient2 {
    pub fn guarded() -> Self {
        Self { guard: Some(Guard::default()), ..Self::default() }
    }
}

impl Rule for Gradient2 {
    fn learn(&mut self, limit: f64, seen: &Seen) -> f64 {
        let took = seen.mean();
        self.windows += 1.0;
        let weight = if self.windows <= 10.0 { 1.0 / self.windows } else { 2.0 / 601.0 };
        self.baseline += (took - self.baseline) * weight;
        if self.baseline > 2.0 * took {
            self.baseline *= 0.9;
        }
        let most = f64::from(seen.in_flight);
        if most < limit / 2.0 {
            return limit;
        }
        let gradient = (self.baseline / took).clamp(0.5, 1.0);
        let mut next = 0.8 * limit + 0.2 * (gradient * limit + limit.sqrt().max(4.0));
        if most >= limit.floor()
            && self.guard.as_mut().is_some_and(|guard| guard.has_gone_too_far(most, took))
        {
            next = next.min(limit - limit.log10().max(1.0));
        }
        next.clamp(4.0, 1_000.0)
    }
}

/// The last windows in which the limit was reached.
#[derive(Debug)]
struct Guard {
    in_flight: [f64; WINDOWS],
    response: [f64; WINDOWS],
    next: usize,
    known: usize,
}

const WINDOWS: usize = 50;
const ENOUGH: usize = 10;

impl Default for Guard {
    fn default() -> Self {
        Self { in_flight: [0.0; WINDOWS], response: [0.0; WINDOWS], next: 0, known: 0 }
    }
}

impl Guard {
    /// Takes in a full window and says whether the limit should come down.
    fn has_gone_too_far(&mut self, in_flight: f64, response: f64) -> bool {
        self.in_flight[self.next] = in_flight;
        self.response[self.next] = response.max(1.0);
        self.next = (self.next + 1) % WINDOWS;
        self.known = (self.known + 1).min(WINDOWS);
        if self.known < ENOUGH {
            return false;
        }
        let in_flight = &self.in_flight[..self.known];
        let response = &self.response[..self.known];
        // Little's law.
        let mut throughput = [0.0; WINDOWS];
        for (index, throughput) in throughput[..self.known].iter_mut().enumerate() {
            *throughput = in_flight[index] / response[index];
        }
        let throughput = &throughput[..self.known];

        // Without any variation there is nothing to learn, and no correlation.
        let Some(brought) = correlation(in_flight, throughput) else { return false };
        let slowed = correlation(in_flight, response).unwrap_or(0.0);
        let flat = deviation(throughput) < 0.2 * mean(throughput);
        brought < 0.0 || (brought < 0.3 && slowed > 0.5) || (flat && slowed > 0.5)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Pearson's; `None` when either does not vary.
fn correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    let (mean_left, mean_right) = (mean(left), mean(right));
    let together: f64 = left.iter().zip(right).map(|(l, r)| (l - mean_left) * (r - mean_right)).sum();
    let apart = deviation(left) * deviation(right) * left.len() as f64;
    // Equal values leave rounding errors, not zeros.
    (apart > f64::EPSILON * mean_left.abs() * mean_right.abs() * left.len() as f64).then(|| together / apart)
}
