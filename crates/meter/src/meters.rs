//! The list that meters are made in and exporters read from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Counter, Gauge, Histogram, HistogramValue, Spent};

/// The meters of one application. Cloning shares the list; two applications in one process have two.
///
/// ```
/// let meters = burgeon_meter::Meters::new();
/// let hits = meters.counter("cache_hits_total", "Reads answered from memory.", &[("cache", "prices")]);
/// hits.increment();
/// assert_eq!(meters.counter("cache_hits_total", "", &[("cache", "prices")]).get(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<&'static str, Family>>>);

/// Label names and values of one series, in the order they were given.
pub type Labels = Vec<(&'static str, String)>;

/// One series at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Name of the family, as the exporter writes it.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// Which member of the family.
    pub labels: Labels,
    /// The number.
    pub value: Value,
}

/// What a series holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Counter`].
    Counter(u64),
    /// Of a [`Gauge`].
    Gauge(i64),
    /// Of a [`Histogram`].
    Histogram(HistogramValue),
    /// Of a [`Spent`].
    Spent(Duration),
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    series: BTreeMap<Labels, Meter>,
}

#[derive(Debug, Clone)]
enum Meter {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Spent(Spent),
}

impl Meters {
    /// The most label sets one name may have; what comes after shares a series labelled `other`.
    pub const SERIES_LIMIT: usize = 1_000;

    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels, made when asked for the first time.
    ///
    /// # Panics
    /// When the name is already a meter of another sort: a defect in the program, found at start.
    #[track_caller]
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Counter {
        match self.resolve(name, help, labels, || Meter::Counter(Counter::default())) {
            Meter::Counter(counter) => counter,
            _ => misuse(name),
        }
    }

    /// The gauge of this name and these labels. Otherwise as [`counter`](Self::counter).
    ///
    /// # Panics
    /// When the name is already a meter of another sort.
    #[track_caller]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.resolve(name, help, labels, || Meter::Gauge(Gauge::default())) {
            Meter::Gauge(gauge) => gauge,
            _ => misuse(name),
        }
    }

    /// The histogram of this name and these labels. Otherwise as [`counter`](Self::counter).
    ///
    /// # Panics
    /// When the name is already a meter of another sort.
    #[track_caller]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Histogram {
        match self.resolve(name, help, labels, || Meter::Histogram(Histogram::default())) {
            Meter::Histogram(histogram) => histogram,
            _ => misuse(name),
        }
    }

    /// The time of this name and these labels; its name ends in `_seconds_total`. Otherwise as
    /// [`counter`](Self::counter).
    ///
    /// # Panics
    /// When the name is already a meter of another sort.
    #[track_caller]
    pub fn spent(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Spent {
        match self.resolve(name, help, labels, || Meter::Spent(Spent::default())) {
            Meter::Spent(spent) => spent,
            _ => misuse(name),
        }
    }

    /// Every series now, sorted by name and labels.
    pub fn samples(&self) -> Vec<Sample> {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples = Vec::new();
        for (name, family) in families.iter() {
            for (labels, meter) in &family.series {
                let value = match meter {
                    Meter::Counter(counter) => Value::Counter(counter.get()),
                    Meter::Gauge(gauge) => Value::Gauge(gauge.get()),
                    Meter::Histogram(histogram) => Value::Histogram(histogram.value()),
                    Meter::Spent(spent) => Value::Spent(spent.get()),
                };
                samples.push(Sample { name, help: family.help, labels: labels.clone(), value });
            }
        }
        samples
    }

    fn resolve(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        make: impl FnOnce() -> Meter,
    ) -> Meter {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Family { help, series: BTreeMap::new() });
        let mut labels: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if family.series.len() >= Self::SERIES_LIMIT && !family.series.contains_key(&labels) {
            for (_, value) in &mut labels {
                "other".clone_into(value);
            }
        }
        family.series.entry(labels).or_insert_with(make).clone()
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "two meters of one name and different sorts are a defect, found at start")]
fn misuse(name: &str) -> ! {
    panic!("the meter `{name}` already exists as another sort of meter; names must be unique")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_from_outside_cannot_grow_the_list_without_bound() {
        let meters = Meters::new();
        for number in 0..Meters::SERIES_LIMIT * 3 {
            meters.counter("hits_total", "", &[("path", &number.to_string())]).increment();
        }
        assert_eq!(meters.samples().len(), Meters::SERIES_LIMIT + 1);
        let other = meters.counter("hits_total", "", &[("path", "other")]);
        assert_eq!(other.get() as usize, Meters::SERIES_LIMIT * 2);
    }

    #[test]
    fn what_the_parts_have_counted_is_in_the_whole() {
        let meters = Meters::new();
        let (hits, level) = (meters.counter("hits_total", "", &[]), meters.gauge("level", "", &[]));
        let took = meters.histogram("took_seconds", "", &[]);
        for core in 1..=3 {
            hits.part().add(core);
            level.part().add(-1);
            took.part().record(Duration::from_micros(core));
        }
        hits.increment();
        level.set(10);
        assert_eq!((hits.get(), level.get()), (7, 7));
        let took = took.value();
        assert_eq!((took.count(), took.sum), (3, Duration::from_micros(6)));
        assert!(meters.samples().iter().any(|sample| sample.value == Value::Counter(7)));
    }

    #[test]
    #[should_panic(expected = "already exists as another sort")]
    fn one_name_is_one_sort_of_meter() {
        let meters = Meters::new();
        meters.counter("x", "", &[]);
        meters.gauge("x", "", &[]);
    }

    #[test]
    fn a_guard_gives_its_unit_back() {
        let gauge = Meters::new().gauge("in_flight", "", &[]);
        let guard = gauge.enter();
        assert_eq!(gauge.get(), 1);
        drop(guard);
        assert_eq!(gauge.get(), 0);
    }
}
