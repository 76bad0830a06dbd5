//! Doubly linked lists through one slab of nodes: every move is a few index writes and allocates nothing.

/// Where a node is; an index into the slab.
pub(crate) type Slot = u32;

/// No node.
pub(super) const NIL: Slot = Slot::MAX;

/// Which of a node's two pairs of links a list runs through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// The queue the node is in.
    Queue = 0,
    /// The order of last use over all queues.
    Recency = 1,
}

/// What the policy knows of one resident.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) hash: u64,
    pub(super) weight: u32,
    pub(super) queue: u8,
    pub(super) uses: u8,
    links: [Link; 2],
}

#[derive(Debug, Clone, Copy)]
struct Link {
    newer: Slot,
    older: Slot,
}

const LOOSE: Link = Link { newer: NIL, older: NIL };

/// The nodes, and which of them are free.
#[derive(Debug, Default)]
pub(super) struct Slab {
    nodes: Vec<Node>,
    free: Vec<Slot>,
}

/// A list from the newest to the oldest.
#[derive(Debug)]
pub(super) struct List {
    chain: Chain,
    newest: Slot,
    oldest: Slot,
    weight: u64,
}

impl Slab {
    pub(super) fn add(&mut self, hash: u64, weight: u32, queue: u8) -> Slot {
        let node = Node { hash, weight, queue, uses: 0, links: [LOOSE; 2] };
        match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Slot
            }
        }
    }

    pub(super) fn free(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// How many nodes are in use.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(super) fn at(&self, slot: Slot) -> &Node {
        &self.nodes[slot as usize]
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Node {
        &mut self.nodes[slot as usize]
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot as usize)
    }
}

impl List {
    pub(super) fn new(chain: Chain) -> Self {
        Self { chain, newest: NIL, oldest: NIL, weight: 0 }
    }

    /// Sum of the weights of what is in it.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn oldest(&self) -> Option<Slot> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    pub(super) fn push(&mut self, slab: &mut Slab, slot: Slot) {
        let chain = self.chain as usize;
        let node = slab.at_mut(slot);
        node.links[chain] = Link { newer: NIL, older: self.newest };
        self.weight += u64::from(node.weight);
        match self.newest {
            NIL => self.oldest = slot,
            newest => slab.at_mut(newest).links[chain].newer = slot,
        }
        self.newest = slot;
    }

    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        let chain = self.chain as usize;
        let node = slab.at_mut(slot);
        let Link { newer, older } = std::mem::replace(&mut node.links[chain], LOOSE);
        self.weight -= u64::from(node.weight);
        match newer {
            NIL => self.newest = older,
            newer => slab.at_mut(newer).links[chain].older = older,
        }
        match older {
            NIL => self.oldest = newer,
            older => slab.at_mut(older).links[chain].newer = newer,
        }
    }

    /// Makes it the newest.
    pub(super) fn renew(&mut self, slab: &mut Slab, slot: Slot) {
        if self.newest != slot {
            self.remove(slab, slot);
            self.push(slab, slot);
        }
    }

    /// The members from the oldest, for tests.
    #[cfg(test)]
    pub(super) fn members(&self, slab: &Slab) -> Vec<Slot> {
        let mut members = Vec::new();
        let mut next = self.oldest;
        while next != NIL {
            members.push(next);
            next = slab.at(next).links[self.chain as usize].newer;
        }
        members
    }
}
