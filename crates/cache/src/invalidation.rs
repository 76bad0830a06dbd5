//! What an invalidation leaves to be waited for.

use std::fmt;
use std::pin::Pin;

use burgeon_runtime::Task;

/// An invalidation that is done in this process, and on its way to the second tier and from there to the other nodes.
///
/// Await it before you answer whoever caused it: from then on he sees it wherever he asks next. Dropped, it goes on behind
/// the caller, and he may still be served the value of before by another node, for as long as the second tier takes (250 ms, or
/// until it is back). In a transaction [`InvalidateOnCommit`](crate::InvalidateOnCommit) waits by itself; where no cache has a second
/// tier there is nothing to wait for. Of a cache without one it waits for what was changed before in caches with one: the
/// other nodes hear of changes in the order in which they were made.
pub struct Invalidation(Vec<Task<()>>);

impl Invalidation {
    /// Done already, or to be waited for.
    pub(crate) fn of(tasks: impl IntoIterator<Item = Task<()>>) -> Self {
        Self(tasks.into_iter().collect())
    }

    /// Both.
    pub(crate) fn and(&mut self, other: Invalidation) {
        self.0.extend(other.0);
    }
}

impl IntoFuture for Invalidation {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            for task in self.0 {
                // One that was stopped with its node leaves what a node leaves that vanishes: the others find a gap.
                drop(task.await);
            }
        })
    }
}

impl fmt::Debug for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidation").field("under_way", &self.0.len()).finish()
    }
}
