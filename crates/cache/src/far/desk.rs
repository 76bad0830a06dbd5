//! One cache's dealings with the store that need not know its types: what is in doubt, and how it is settled.
//!
//! Every invalidation is in doubt from before it changes anything in this process until the store has it; a task, there only
//! while something is in doubt, sends what is due in batches, and again every [`Config::retry`](super::Config::retry) until
//! the store takes it.

use std::sync::Arc;

use burgeon_core::{Ctx, Result};
use burgeon_runtime::Tasks;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::config::Config;
use super::doubts::{Doubts, Due, Unsettled, What};
use super::meters::FarMeters;
use super::reads::Reads;
use super::remote::Remote;
use super::store::{Burial, Place};
use crate::tombstones::Reach;

pub(crate) struct Desk {
    pub(crate) name: Arc<str>,
    pub(crate) place: Place,
    pub(crate) config: Config,
    pub(crate) remote: Arc<Remote>,
    pub(crate) meters: FarMeters,
    pub(crate) doubts: Doubts,
    pub(super) reads: Reads,
    /// Told after every step of settling.
    stepped: Notify,
    pub(super) tasks: Tasks,
}

/// An invalidation that the store has, or has not yet. Dropped, it is settled in the background all the same.
pub(crate) struct Doubt {
    desk: Arc<Desk>,
    what: What,
}

/// So many are settled in one go.
const BATCH: usize = 256;

impl Desk {
    pub(crate) fn new(
        name: Arc<str>,
        place: Place,
        config: Config,
        remote: Arc<Remote>,
        meters: FarMeters,
        tasks: Tasks,
        unsettled: Unsettled,
    ) -> Arc<Self> {
        let doubts = Doubts::new(config.recovery, unsettled);
        let (reads, stepped) = (Reads::default(), Notify::new());
        Arc::new(Self { name, place, config, remote, meters, doubts, reads, stepped, tasks })
    }

    /// From now on this node does not read this from the store, until the store has been told.
    pub(crate) fn doubt(self: &Arc<Self>, what: What, burial: Burial) -> Doubt {
        self.raise(what.clone(), burial, false);
        self.serve();
        Doubt::of(self, what)
    }

    /// The same, for who tells the store himself: under this number it is settled or released.
    pub(crate) fn hold(self: &Arc<Self>, what: What, burial: Burial) -> u64 {
        self.raise(what, burial, true)
    }

    pub(crate) fn settle(&self, what: &What, number: u64) {
        self.doubts.settle(what, number);
        self.told();
    }

    pub(crate) fn release(self: &Arc<Self>, what: &What, number: u64) {
        self.doubts.release(what, number);
        self.serve();
    }

    fn raise(&self, what: What, burial: Burial, is_held: bool) -> u64 {
        let raised = self.doubts.raise(what, burial, is_held);
        if raised.overflowed {
            self.meters.overflows.increment();
        }
        self.told();
        raised.number
    }

    fn told(&self) {
        self.meters.doubts.set(self.doubts.len() as i64);
        self.stepped.notify_waiters();
    }

    /// Sees to it that somebody settles what is due.
    fn serve(self: &Arc<Self>) {
        if self.doubts.serve() {
            let serving = Serving { desk: self.clone(), is_done: false };
            let settle = async move {
                let mut serving = serving;
                serving.is_done = serving.desk.run().await;
                drop(serving);
            };
            drop(self.tasks.spawn("cache.far.settle", settle));
        }
    }

    /// Settles until nothing is due. `false`: the application stops before that.
    async fn run(&self) -> bool {
        let stopping = self.tasks.stopping();
        let mut failed = 0_u64;
        loop {
            let due = self.doubts.due(BATCH);
            if due.is_empty() {
                if failed > 0 {
                    tracing::info!(cache = %self.name, "the second tier has taken all invalidations");
                }
                return true;
            }
            match self.bury(&due).await {
                Ok(()) => {
                    due.iter().for_each(|due| self.doubts.settle(&due.what, due.number));
                    self.told();
                }
                Err(why) => {
                    if failed == 0 {
                        tracing::warn!(
                            cache = %self.name, %why,
                            "the second tier did not take an invalidation; until it does, what it concerns is not read from there"
                        );
                    }
                    failed += 1;
                    self.stepped.notify_waiters();
                    tokio::select! {
                        () = sleep(self.config.retry) => {}
                        () = stopping.cancelled() => {
                            tracing::error!(
                                cache = %self.name, left = self.doubts.len(),
                                "stopping, and the second tier has not taken these invalidations: other nodes may read what they \
                                 were to remove until it expires"
                            );
                            return false;
                        }
                    }
                }
            }
        }
    }

    /// Tells the store.
    async fn bury(&self, due: &[Due]) -> Result<(), String> {
        let limit = self.config.hard_timeout;
        let ctx = Remote::ctx(limit);
        self.remote.insist(limit, self.tell(&ctx, due)).await
    }

    async fn tell(&self, ctx: &Ctx, due: &[Due]) -> Result<()> {
        let (store, place) = (&self.remote.store, &self.place);
        for reach in [Reach::Remove, Reach::Expire] {
            let due: Vec<&Due> = due.iter().filter(|due| due.burial.reach == reach).collect();
            let Some(burial) = due.iter().map(|due| due.burial).reduce(Burial::join) else { continue };
            let (mut keys, mut tags) = (Vec::new(), Vec::new());
            for due in due {
                match &due.what {
                    What::Key(key) => keys.push(key.clone()),
                    What::Tag(stripe) => tags.push(*stripe),
                    What::Everything => store.bury_everything(ctx, place, burial).await?,
                }
            }
            if !keys.is_empty() {
                store.bury_keys(ctx, place, &keys, burial).await?;
            }
            if !tags.is_empty() {
                store.bury_tags(ctx, place, &tags, burial).await?;
            }
        }
        Ok(())
    }
}

/// Somebody who settles. If he is cut off, another one can follow.
struct Serving {
    desk: Arc<Desk>,
    is_done: bool,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.is_done {
            self.desk.doubts.leave();
        }
    }
}

impl Doubt {
    pub(crate) fn of(desk: &Arc<Desk>, what: What) -> Self {
        Self { desk: desk.clone(), what }
    }

    /// Waits until the store has it, as long as the store may take. Not at all while the store is out of reach: then it is
    /// settled when it is back. Answers whether the store has it; if not, the neighbours must be told.
    pub(crate) async fn confirm(&self) -> bool {
        let is_confirmed = self.is_confirmed().await;
        if !is_confirmed {
            self.tell();
        }
        is_confirmed
    }

    /// The neighbours are about to know of it, or it comes from them.
    pub(crate) fn tell(&self) {
        self.desk.doubts.tell(&self.what);
    }

    async fn is_confirmed(&self) -> bool {
        if self.desk.remote.is_shunned() {
            return !self.is_open();
        }
        let settled = async {
            loop {
                let stepped = self.desk.stepped.notified();
                let mut stepped = std::pin::pin!(stepped);
                // Registered before the look, so that no step between look and wait is missed.
                stepped.as_mut().enable();
                if !self.is_open() {
                    return;
                }
                stepped.await;
            }
        };
        timeout(self.desk.config.hard_timeout, settled).await.is_ok()
    }

    /// The key that it is about, if it is about one.
    pub(crate) fn text(&self) -> Option<Arc<str>> {
        match &self.what {
            What::Key(text) => Some(text.as_str().into()),
            What::Tag(_) | What::Everything => None,
        }
    }

    fn is_open(&self) -> bool {
        self.desk.doubts.is_open(&self.what)
    }
}
