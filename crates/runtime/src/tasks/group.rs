//! The list of what an owner owns, and of its parts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use burgeon_core::{Cancel, CancelGuard};
use burgeon_meter::{Gauge, InFlight, Meters};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Name;
use crate::owned::OnPanic;

pub(super) struct Group {
    raise: CancelGuard,
    stopping: Cancel,
    // Not a tokio mutex: nothing awaits under it. No foreign code runs under it either: a future's destructor may
    // spawn or end another task.
    list: Mutex<List>,
    ended: Notify,
    meters: Meters,
    alive: Gauge,
}

#[derive(Default)]
struct List {
    next: u64,
    running: HashMap<u64, Running>,
    parts: Vec<Weak<Group>>,
    // Set when the group came to its end: nothing may enter any more.
    closed: bool,
    aborted: bool,
}

struct Running {
    name: Name,
    // `None` while it is being spawned, and for closures on a blocking thread, which nothing can interrupt.
    abort: Option<AbortHandle>,
}

/// A task's place in the list; it leaves when this is dropped.
pub(crate) struct Entry {
    group: Arc<Group>,
    id: u64,
    name: Name,
    // Dropped before the task leaves the list, so that after a stop the gauge is right.
    alive: Option<InFlight>,
}

impl Group {
    pub(super) fn new(meters: &Meters) -> Arc<Self> {
        let (raise, stopping) = Cancel::new();
        Arc::new(Self {
            raise,
            stopping,
            list: Mutex::default(),
            ended: Notify::new(),
            meters: meters.clone(),
            alive: meters.gauge("runtime_tasks", "Tasks and blocking closures that run now.", &[]),
        })
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopping(&self) -> Cancel {
        self.stopping.clone()
    }

    pub(super) fn adopt(&self, part: &Arc<Group>) {
        let mut list = self.list();
        list.parts.retain(|part| part.strong_count() > 0);
        list.parts.push(Arc::downgrade(part));
        let (closed, aborted) = (list.closed, list.aborted);
        drop(list);
        if self.stopping.is_cancelled() {
            part.raise.cancel();
        }
        // Only ever set: whoever stops the whole may have found the part in between.
        let mut list = part.list();
        list.closed |= closed;
        list.aborted |= aborted;
    }

    /// A place in the list; `None` once the group is closed.
    pub(super) fn enter(self: &Arc<Self>, name: Name) -> Option<Entry> {
        let mut list = self.list();
        if list.closed {
            return None;
        }
        let id = list.next;
        list.next += 1;
        list.running.insert(id, Running { name: name.clone(), abort: None });
        Some(Entry { group: self.clone(), id, name, alive: Some(self.alive.enter()) })
    }

    /// Says how to abort what entered. It may have ended already, or all may have been aborted in between.
    pub(super) fn can_abort(&self, id: u64, abort: AbortHandle) {
        let mut list = self.list();
        if list.aborted {
            drop(list);
            abort.abort();
        } else if let Some(running) = list.running.get_mut(&id) {
            running.abort = Some(abort);
        }
    }

    /// This group and all its parts, the whole first.
    pub(super) fn tree(self: &Arc<Self>) -> Vec<Arc<Group>> {
        self.visit(|_| {})
    }

    /// Visits the tree. A group is visited before its parts are looked up, so that a part adopted meanwhile either is
    /// found here or finds its whole as the visit left it.
    fn visit(self: &Arc<Self>, mut visit: impl FnMut(&Group)) -> Vec<Arc<Group>> {
        let mut tree = vec![self.clone()];
        let mut next = 0;
        while let Some(group) = tree.get(next) {
            visit(group);
            let parts: Vec<_> = group.list().parts.iter().filter_map(Weak::upgrade).collect();
            tree.extend(parts);
            next += 1;
        }
        tree
    }

    /// The names of what runs in this group, without its parts.
    pub(super) fn names(&self) -> Vec<Name> {
        self.list().running.values().map(|running| running.name.clone()).collect()
    }

    /// Asks all to stop.
    pub(super) fn raise(self: &Arc<Self>) {
        self.visit(|group| group.raise.cancel());
    }

    /// Resolves when nothing runs any more and nothing can be started any more. Cancel-safe.
    pub(super) async fn end(self: &Arc<Self>) {
        loop {
            let tree = self.tree();
            // A closed group stays empty and adopts closed parts only, so this is the end of the whole tree.
            if tree.iter().all(|group| group.has_ended()) {
                return;
            }
            for group in &tree {
                group.empty().await;
            }
            // A task of one part may have spawned into another after that one was seen empty: look again.
            tree.iter().for_each(|group| group.close_if_empty());
        }
    }

    /// Aborts what runs, lets nothing in any more, and returns the names of what it aborted.
    pub(super) fn abort(self: &Arc<Self>) -> Vec<Name> {
        let mut names = Vec::new();
        let mut aborts = Vec::new();
        self.visit(|group| {
            let mut list = group.list();
            (list.closed, list.aborted) = (true, true);
            names.extend(list.running.values().map(|running| running.name.clone()));
            aborts.extend(list.running.values_mut().filter_map(|running| running.abort.take()));
        });
        aborts.iter().for_each(AbortHandle::abort);
        // Only now: who is aborted shall not begin a farewell that he cannot end. Others may wait for the same sign.
        self.raise();
        names
    }

    async fn empty(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Registered before looking, so that an end in between is not missed.
            ended.as_mut().enable();
            if self.list().running.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn close_if_empty(&self) {
        let mut list = self.list();
        list.closed |= list.running.is_empty();
    }

    fn has_ended(&self) -> bool {
        let list = self.list();
        list.closed && list.running.is_empty()
    }
}

impl Entry {
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        drop(self.alive.take());
        let mut list = self.group.list();
        list.running.remove(&self.id);
        let last = list.running.is_empty();
        drop(list);
        if last {
            self.group.ended.notify_waiters();
        }
    }
}

impl OnPanic for Entry {
    fn panicked(&self, message: &str) {
        report_panic(&self.group.meters, &self.name, message);
    }
}

/// Counts and logs a panic under the task's name.
pub(crate) fn report_panic(meters: &Meters, task: &str, message: &str) {
    const HELP: &str = "Panics caught in tasks. Each is a defect; the log has its message.";
    meters.counter("runtime_task_panics_total", HELP, &[("task", task)]).increment();
    tracing::error!(task, panic = message, "a task panicked");
}
