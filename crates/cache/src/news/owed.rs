//! The nodes of which something was missed, and which have not said since how far they had come.
//!
//! # Invariants
//! - Whether there is one is a single atomic load: every hit asks.
//! - Whoever finds nobody owed finds all that was done before the last was struck off: by then everything was doubted.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use burgeon_cluster::NodeId;

use crate::sync::{Mutex, Ordering, hold};

/// Who is owed.
#[derive(Default)]
pub(super) struct Owed {
    nodes: Mutex<HashSet<NodeId>>,
    is_anybody: AtomicBool,
}

impl Owed {
    pub(super) fn is_anybody(&self) -> bool {
        self.is_anybody.load(Ordering::SeqCst)
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        hold(&self.nodes).contains(&node)
    }

    pub(super) fn add(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.change(|owed| owed.extend(nodes));
    }

    pub(super) fn strike_off(&self, gone: &[NodeId]) {
        self.change(|owed| owed.retain(|node| !gone.contains(node)));
    }

    /// Those of them who are not among these.
    pub(super) fn beside(&self, nodes: &HashSet<NodeId>) -> Vec<NodeId> {
        hold(&self.nodes).difference(nodes).copied().collect()
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<NodeId>)) {
        let mut nodes = hold(&self.nodes);
        change(&mut nodes);
        // Under the lock, so that the last word is about the last change.
        self.is_anybody.store(!nodes.is_empty(), Ordering::SeqCst);
    }
}
