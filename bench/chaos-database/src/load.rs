//! What asks the database all the time, and what it was told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Deadline};
use burgeon_db::{Db, Fault, sql};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Failure;

/// How much later than its deadline a call may end: what the client allows a write, and the machine's noise.
pub const SLACK: Duration = Duration::from_millis(750);

/// The ledger: what was asked, and what was said.
#[derive(Default)]
pub struct Ledger {
    pub acknowledged: Vec<i64>,
    pub unknown: Vec<i64>,
    /// Successful reads: when they began, and how long they took.
    pub reads: Vec<(Instant, Duration)>,
    /// Errors by their sort.
    pub errors: BTreeMap<&'static str, usize>,
    /// Answers that the client must not give: an untyped error, somebody else's row, a call far past its deadline.
    pub strange: Vec<String>,
    pub longest: Duration,
}

/// Tasks that read and write until they are stopped.
pub struct Load {
    ledger: Arc<Mutex<Ledger>>,
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
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
        let (ledger, over) = (Arc::<Mutex<Ledger>>::default(), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for number in 0..shape.readers + shape.writers {
            let (db, ledger, over, serials) = (db.clone(), ledger.clone(), over.clone(), serials.clone());
            tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let serial = serials.fetch_add(1, Ordering::Relaxed);
                    if number < shape.readers {
                        read(&db, &shape, serial, &ledger).await;
                    } else {
                        write(&db, &shape, serial, &ledger).await;
                    }
                    sleep(shape.pause).await;
                }
            });
        }
        Self { ledger, over, tasks }
    }

    /// When the first read succeeded that began after `since`.
    pub async fn first_read_after(&self, since: Instant, limit: Duration) -> Result<Duration, Failure> {
        loop {
            let found = {
                let ledger = lock(&self.ledger);
                ledger
                    .reads
                    .iter()
                    .filter(|(begun, _)| *begun >= since)
                    .map(|(begun, took)| *begun + *took)
                    .min()
            };
            if let Some(at) = found {
                return Ok(at - since);
            }
            if since.elapsed() > limit {
                return Err(format!("no read succeeded for {limit:?} after the fault").into());
            }
            sleep(Duration::from_millis(5)).await;
        }
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
        tokio::time::timeout(Duration::from_secs(10), all).await.map_err(|_| "a call hung")??;
        let ledger = std::mem::take(&mut *lock(&self.ledger));
        match ledger.strange.first() {
            Some(strange) => {
                Err(format!("{} strange answers, the first: {strange}", ledger.strange.len()).into())
            }
            None => Ok(ledger),
        }
    }
}

impl Ledger {
    /// The duration that a share of the reads that began in this time did not exceed.
    pub fn quantile(&self, share: f64, from: Instant, to: Instant) -> Option<Duration> {
        let within = self.reads.iter().filter(|(begun, _)| *begun >= from && *begun < to);
        let mut took: Vec<_> = within.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let last = took.len().checked_sub(1)?;
        took.get((last as f64 * share) as usize).copied()
    }

    pub fn told(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|(sort, count)| format!("{count} {sort}")).collect();
        let errors = if errors.is_empty() { "no error".to_owned() } else { errors.join(", ") };
        format!(
            "{} reads, {} writes acknowledged; {errors}; the longest call took {} ms",
            self.reads.len(),
            self.acknowledged.len(),
            self.longest.as_millis()
        )
    }
}

async fn read(db: &Db, shape: &Shape, serial: i64, ledger: &Mutex<Ledger>) {
    let begun = Instant::now();
    let ctx = within(shape);
    let id = serial.rem_euclid(1_000);
    let found = sql!("chaos_read", "select id, name from item where id = $1", id);
    let found = found.one::<(i64, String)>(&db.read(&ctx)).await;
    let mut ledger = note(shape, begun, ledger, found.as_ref().err());
    match found {
        Ok((found, _)) if found != id => ledger.strange.push(format!("asked for {id}, was given {found}")),
        Ok(_) => ledger.reads.push((begun, begun.elapsed())),
        Err(_) => {}
    }
}

async fn write(db: &Db, shape: &Shape, serial: i64, ledger: &Mutex<Ledger>) {
    let begun = Instant::now();
    let ctx = within(shape);
    let written = sql!("chaos_write", "insert into log (serial) values ($1)", serial);
    let written = written.execute(&db.write(&ctx)).await;
    let mut ledger = note(shape, begun, ledger, written.as_ref().err());
    match written {
        Ok(_) => ledger.acknowledged.push(serial),
        Err(error) if matches!(Fault::of(&error), Some(Fault::OutcomeUnknown { .. })) => {
            ledger.unknown.push(serial);
        }
        Err(_) => {}
    }
}

fn within(shape: &Shape) -> Ctx {
    let deadline = Deadline::after(Instant::now().into_std(), shape.budget);
    Ctx::background().with_deadline(deadline).with_criticality(shape.criticality)
}

fn note<'a>(
    shape: &Shape,
    begun: Instant,
    ledger: &'a Mutex<Ledger>,
    error: Option<&burgeon_core::Error>,
) -> MutexGuard<'a, Ledger> {
    let took = begun.elapsed();
    let mut ledger = lock(ledger);
    ledger.longest = ledger.longest.max(took);
    if took > shape.budget + SLACK {
        ledger.strange.push(format!("a call with {:?} to its deadline took {took:?}", shape.budget));
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
    ledger
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
