//! A cache over an origin whose loads the test holds in its hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Clock, Config, Load, Named};
use burgeon_core::{Ctx, Deadline, Error, Result};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) struct House {
    pub(crate) caches: Caches,
    pub(crate) tasks: Tasks,
    pub(crate) meters: Meters,
    pub(crate) ctx: Ctx,
}

/// Lifetimes by the pausable clock, without jitter.
pub(crate) fn house() -> House {
    house_with(|config| config.jitter = 0.0)
}

pub(crate) fn house_with(change: impl FnOnce(&mut Config)) -> House {
    let mut config = Config::default();
    change(&mut config);
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let caches = Caches::with_clock(&config, &tasks, &meters, Clock::exact()).unwrap();
    House { caches, tasks, meters, ctx: Ctx::background() }
}

impl House {
    /// A cache over the origin; every key's value is tagged `all` and `key:KEY`.
    pub(crate) fn cache(
        &self,
        origin: &Origin,
        change: impl FnOnce(Named<u32, u64>) -> Named<u32, u64>,
    ) -> Cache<u32, u64> {
        change(self.caches.named("it")).loader(origin.clone(), load)
    }

    /// Waits until nothing is being loaded.
    pub(crate) async fn landed(&self) {
        while self.meters.gauge("cache_loading", "", &[("cache", "it")]).get() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) -> u64 {
        let mut all = vec![("cache", "it")];
        all.extend_from_slice(labels);
        self.meters.counter(name, "", &all).get()
    }
}

/// A context that nobody waits for beyond `budget`.
pub(crate) fn within(budget: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), budget))
}

/// The data, one number for all keys, and how loading it goes.
#[derive(Clone)]
pub(crate) struct Origin(Arc<Inner>);

struct Inner {
    value: AtomicU64,
    fails: AtomicBool,
    absent: AtomicBool,
    slow: AtomicU64,
    begun: watch::Sender<u64>,
    /// How many of the loads, counted from the first, may end.
    may_end: watch::Sender<u64>,
    /// Loads from this number on are not held.
    free_from: AtomicU64,
}

impl Origin {
    pub(crate) fn new(value: u64) -> Self {
        Self(Arc::new(Inner {
            value: AtomicU64::new(value),
            fails: AtomicBool::new(false),
            absent: AtomicBool::new(false),
            slow: AtomicU64::new(0),
            begun: watch::Sender::new(0),
            may_end: watch::Sender::new(u64::MAX),
            free_from: AtomicU64::new(0),
        }))
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.value.store(value, Ordering::SeqCst);
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    pub(crate) fn has_none(&self, absent: bool) {
        self.0.absent.store(absent, Ordering::SeqCst);
    }

    /// Every load takes so long.
    pub(crate) fn takes(&self, time: Duration) {
        self.0.slow.store(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// The next load reads its value and then does not end before `release`; later ones do.
    pub(crate) fn hold_next(&self) {
        let begun = self.loads();
        self.0.may_end.send_replace(begun);
        self.0.free_from.store(begun + 1, Ordering::SeqCst);
    }

    /// No load ends before `release`.
    pub(crate) fn hold_all(&self) {
        self.0.may_end.send_replace(self.loads());
        self.0.free_from.store(u64::MAX, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.0.may_end.send_replace(u64::MAX);
    }

    /// How many loads have begun.
    pub(crate) fn loads(&self) -> u64 {
        *self.0.begun.borrow()
    }

    /// Resolves when so many have begun.
    pub(crate) async fn begun(&self, count: u64) {
        let mut begun = self.0.begun.subscribe();
        let reached = begun.wait_for(|begun| *begun >= count);
        let reached = timeout(Duration::from_secs(60), reached).await.map(Result::unwrap);
        assert!(reached.is_ok(), "{} loads have begun, and no {count}th", self.loads());
    }

    /// Reads first, then takes its time: as a slow query does.
    pub(crate) async fn read(&self) -> Result<Option<u64>> {
        let number = {
            let mut number = 0;
            self.0.begun.send_modify(|begun| {
                number = *begun;
                *begun += 1;
            });
            number
        };
        let value = self.0.value.load(Ordering::SeqCst);
        let slow = self.0.slow.load(Ordering::SeqCst);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(slow)).await;
        }
        if number < self.0.free_from.load(Ordering::SeqCst) {
            self.0.may_end.subscribe().wait_for(|may_end| number < *may_end).await.unwrap();
        }
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(Error::unavailable("The origin is down."));
        }
        Ok((!self.0.absent.load(Ordering::SeqCst)).then_some(value))
    }
}

pub(crate) async fn load(origin: Origin, load: Load, key: u32) -> Result<Option<u64>> {
    load.tag("all");
    load.tag(format_args!("key:{key}"));
    origin.read().await
}
