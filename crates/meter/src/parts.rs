//! The cells of one meter that belong to one core each.

use std::ops::Add;
use std::sync::{Mutex, PoisonError};

/// Parts of a meter of type `M`. Counting never touches the lock: it is taken to make a part, and to read the sum.
#[derive(Debug)]
pub(crate) struct Parts<M>(Mutex<Vec<M>>);

impl<M> Default for Parts<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: Clone + Default> Parts<M> {
    /// One more.
    pub(crate) fn another(&self) -> M {
        let part = M::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(part.clone());
        part
    }

    /// What all of them hold, and `own`.
    pub(crate) fn sum<V: Add<Output = V>>(&self, own: V, value: impl Fn(&M) -> V) -> V {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().map(value).fold(own, V::add)
    }
}
