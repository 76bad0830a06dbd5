//! Meters of a tokio runtime: how late its timers fire, how busy its workers are, what waits.

use std::time::Duration;

use burgeon_meter::{Counter, Gauge, Histogram, Meters, Spent};
use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::{Instant, sleep_until};

/// How often a probe looks: four wakes a second cost nothing, and a stall of a quarter second cannot hide.
const PERIOD: Duration = Duration::from_millis(250);

/// Watches the runtime it runs on until it is dropped.
pub(crate) async fn watch(meters: Meters, name: String) {
    let mut probe = Probe::new(&meters, &name);
    loop {
        let due = Instant::now() + PERIOD;
        sleep_until(due).await;
        probe.lag.record(Instant::now().saturating_duration_since(due));
        probe.look(&Handle::current().metrics());
    }
}

struct Probe {
    lag: Histogram,
    tasks: Gauge,
    queue: Gauge,
    busy: Spent,
    parks: Counter,
    last_busy: Duration,
    last_parks: u64,
}

impl Probe {
    fn new(meters: &Meters, name: &str) -> Self {
        let labels = [("runtime", name)];
        let workers = meters.gauge("runtime_workers", "Threads that poll tasks.", &labels);
        workers.set(i64::try_from(Handle::current().metrics().num_workers()).unwrap_or(i64::MAX));
        Self {
            lag: meters.histogram(
                "runtime_lag_seconds",
                "How late a timer fired: what every other task waited for its turn, too.",
                &labels,
            ),
            tasks: meters.gauge(
                "runtime_tokio_tasks",
                "Tasks the runtime holds, also those of libraries.",
                &labels,
            ),
            queue: meters.gauge(
                "runtime_queue_length",
                "Tasks that wait in the runtime's shared queue for a worker.",
                &labels,
            ),
            busy: meters.spent(
                "runtime_busy_seconds_total",
                "Time the workers spent polling tasks, all workers together.",
                &labels,
            ),
            parks: meters.counter(
                "runtime_parks_total",
                "Times a worker went to sleep because nothing was left to do.",
                &labels,
            ),
            last_busy: Duration::ZERO,
            last_parks: 0,
        }
    }

    fn look(&mut self, metrics: &RuntimeMetrics) {
        self.tasks.set(i64::try_from(metrics.num_alive_tasks()).unwrap_or(i64::MAX));
        self.queue.set(i64::try_from(metrics.global_queue_depth()).unwrap_or(i64::MAX));
        let workers = 0..metrics.num_workers();
        let busy: Duration = workers.clone().map(|worker| metrics.worker_total_busy_duration(worker)).sum();
        let parks: u64 = workers.map(|worker| metrics.worker_park_count(worker)).sum();
        self.busy.add(busy.saturating_sub(std::mem::replace(&mut self.last_busy, busy)));
        self.parks.add(parks.saturating_sub(std::mem::replace(&mut self.last_parks, parks)));
    }
}
