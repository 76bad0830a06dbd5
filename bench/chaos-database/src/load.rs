//! What asks the database all the time, and what it was told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Deadline};
use burgeon_db::{Db, Fault, sql};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Failure;

/// How much later than its deadline a call may end: a quarter of a second that the client allows a write which is being
/// ended, and what a busy machine adds.
pub const SLACK: Duration = Duration::from_millis(1_000);

/// How long anything may take before it is called hanging.
pub const HANG: Duration = Duration::from_secs(30);

/// Who was refused does not come back at once.
const REFUSED: Duration = Duration::from_millis(20);

/// The ledger: what was asked, and what was said.
#[derive(Default)]
pub struct Ledger {
    pub acknowledged: Vec<i64>,
    pub unknown: Vec<i64>,
    /// When the last acknowledged write began.
    pub last_write: Option<Instant>,
    /// Successful reads: when they began, and how long they took.
    pub reads: Vec<(Instant, Duration)>,
    /// Errors by their sort.
    pub errors: BTreeMap<&'static str, usize>,
    /// Answers that the client must not give: an untyped error, somebody else's row, a call far past its deadline.
    pub strange: Vec<String>,
    /// By how much a call outlived its deadline at most.
    pub latest: Duration,
}

/// Tasks that read and write until they are stopped.
pub struct Load {
    book: Arc<Book>,
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// The ledger, and word of each entry.
#[derive(Default)]
struct Book {
    ledger: Mutex<Ledger>,
    entered: Notify,
}

/// How hard it is.
#[derive(Clone, Copy)]
pub struct Shape {
    pub readers: usize,
    pub writers: usize,
    pub budget: Duration,
    /// How long each rests between two calls.
    pub pause: Duration,
    pub criticality: Criticality,
}

impl Load {
    pub fn start(db: &Db, shape: Shape, serials: &Arc<AtomicI64>) -> Self {
        let (book, over) = (Arc::<Book>::default(), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for number in 0..shape.readers + shape.writers {
            let (db, book, over, serials) = (db.clone(), book.clone(), over.clone(), serials.clone());
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let serial = serials.fetch_add(1, Ordering::Relaxed);
                    let succeeded = match number < shape.readers {
                        true => read(&db, &shape, serial, &book).await,
                        false => write(&db, &shape, serial, &book).await,
                    };
                    sleep(if succeeded { shape.pause } else { shape.pause.max(REFUSED) }).await;
                }
            });
        }
        Self { book, over, tasks }
    }

    /// Waits until the ledger says so, and answers what it found there. It is asked after every entry.
    pub async fn until<T>(&self, what: &str, found: impl Fn(&Ledger) -> Option<T>) -> Result<T, Failure> {
        let looking = async {
            loop {
                let mut entered = std::pin::pin!(self.book.entered.notified());
                // Registered before the look, so that no entry between look and wait is missed.
                entered.as_mut().enable();
                if let Some(found) = found(&self.book.ledger()) {
                    return found;
                }
                entered.await;
            }
        };
        timeout(HANG, looking).await.map_err(|_| format!("{HANG:?} passed before {what}").into())
    }

    /// How many reads succeeded so far.
    pub fn read(&self) -> usize {
        self.book.ledger().reads.len()
    }

    /// Waits for so many more reads; since when, and how fast they came.
    pub async fn reads(&self, count: usize) -> Result<Stretch, Failure> {
        let (from, before) = (Instant::now(), self.book.ledger().reads.len());
        self.until("enough was read", |ledger| (ledger.reads.len() >= before + count).then_some(())).await?;
        Ok(Stretch { from, to: Instant::now(), count: self.book.ledger().reads.len() - before })
    }

    /// Waits until as many errors have been told as there are callers: everybody has met the fault.
    pub async fn is_felt(&self) -> Result<(), Failure> {
        let (callers, before) = (self.tasks.len(), self.book.ledger().failed());
        self.until("everybody met the fault", |ledger| (ledger.failed() >= before + callers).then_some(()))
            .await
    }

    /// How long it took until a read and a write had succeeded that began after `since`.
    pub async fn back_after(&self, since: Instant) -> Result<Duration, Failure> {
        self.until("reads and writes succeed again", |ledger| {
            ledger.last_write.filter(|begun| *begun >= since)?;
            let reads = ledger.reads.iter().rev().filter(|(begun, _)| *begun >= since);
            reads.map(|(begun, took)| *begun + *took).min()
        })
        .await
        .map(|_| since.elapsed())
    }

    /// Stops, and hands over what was told. A task that does not end is a hang.
    pub async fn stop(mut self) -> Result<Ledger, Failure> {
        self.over.store(true, Ordering::Relaxed);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended?;
            }
            Ok::<(), Failure>(())
        };
        timeout(HANG, all).await.map_err(|_| "a call hung")??;
        let ledger = std::mem::take(&mut *self.book.ledger());
        match ledger.strange.first() {
            Some(strange) => {
                Err(format!("{} strange answers, the first: {strange}", ledger.strange.len()).into())
            }
            None => Ok(ledger),
        }
    }
}

/// A time in which reads were counted.
pub struct Stretch {
    pub from: Instant,
    pub to: Instant,
    pub count: usize,
}

impl Stretch {
    /// Reads a second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / (self.to - self.from).as_secs_f64()
    }
}

impl Ledger {
    fn failed(&self) -> usize {
        self.errors.values().sum()
    }

    /// The duration that a share of the reads that began in this time did not exceed.
    pub fn quantile(&self, share: f64, within: &Stretch) -> Duration {
        let reads = self.reads.iter().filter(|(begun, _)| *begun >= within.from && *begun < within.to);
        let mut took: Vec<_> = reads.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let last = took.len().saturating_sub(1);
        took.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }

    pub fn told(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|(sort, count)| format!("{count} {sort}")).collect();
        let errors = if errors.is_empty() { "no error".to_owned() } else { errors.join(", ") };
        format!(
            "{} reads, {} writes acknowledged; {errors}; {} ms past a deadline at most",
            self.reads.len(),
            self.acknowledged.len(),
            self.latest.as_millis()
        )
    }
}

impl Book {
    // Not a tokio mutex: nothing awaits under it.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters how a call ended, and tells whoever waits for entries.
    fn enter(
        &self,
        shape: &Shape,
        begun: Instant,
        error: Option<&burgeon_core::Error>,
        also: impl FnOnce(&mut Ledger),
    ) {
        let late = begun.elapsed().saturating_sub(shape.budget);
        let mut ledger = self.ledger();
        ledger.latest = ledger.latest.max(late);
        if late > SLACK {
            ledger.strange.push(format!("a call ended {late:?} after its deadline"));
        }
        if let Some(error) = error {
            let sort = match Fault::of(error) {
                Some(Fault::Unavailable { .. }) => "unavailable",
                Some(Fault::OutcomeUnknown { .. }) => "outcome unknown",
                Some(Fault::Timeout { .. }) => "deadline",
                Some(Fault::Overloaded { .. }) => "overloaded",
                _ => {
                    ledger.strange.push(error.detail());
                    "strange"
                }
            };
            *ledger.errors.entry(sort).or_default() += 1;
        }
        also(&mut ledger);
        drop(ledger);
        self.entered.notify_waiters();
    }
}

async fn read(db: &Db, shape: &Shape, serial: i64, book: &Book) -> bool {
    let begun = Instant::now();
    let ctx = within(shape);
    let id = serial.rem_euclid(1_000);
    let found = sql!("chaos_read", "select id, name from item where id = $1", id);
    let found = found.one::<(i64, String)>(&db.read(&ctx)).await;
    book.enter(shape, begun, found.as_ref().err(), |ledger| match &found {
        Ok((found, _)) if *found != id => ledger.strange.push(format!("asked for {id}, was given {found}")),
        Ok(_) => ledger.reads.push((begun, begun.elapsed())),
        Err(_) => {}
    });
    found.is_ok()
}

async fn write(db: &Db, shape: &Shape, serial: i64, book: &Book) -> bool {
    let begun = Instant::now();
    let ctx = within(shape);
    let written = sql!("chaos_write", "insert into log (serial) values ($1)", serial);
    let written = written.execute(&db.write(&ctx)).await;
    book.enter(shape, begun, written.as_ref().err(), |ledger| match &written {
        Ok(_) => {
            ledger.acknowledged.push(serial);
            ledger.last_write = ledger.last_write.max(Some(begun));
        }
        Err(error) if matches!(Fault::of(error), Some(Fault::OutcomeUnknown { .. })) => {
            ledger.unknown.push(serial);
        }
        Err(_) => {}
    });
    written.is_ok()
}

fn within(shape: &Shape) -> Ctx {
    let deadline = Deadline::after(Instant::now().into_std(), shape.budget);
    Ctx::background().with_deadline(deadline).with_criticality(shape.criticality)
}
