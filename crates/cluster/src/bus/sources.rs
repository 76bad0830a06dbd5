//! How far each node has been heard. Pure: it is told the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::delivery::Stamp;
use crate::NodeId;

/// More nodes than any cluster of this kind has: beyond it the one that was silent for longest is forgotten.
const MOST: usize = 1_024;

pub(super) struct Sources {
    own: NodeId,
    /// How far this node's listeners have heard this node.
    own_applied: u64,
    others: HashMap<NodeId, Source>,
}

struct Source {
    /// The last number heard of, heard itself or told by a heartbeat.
    last: u64,
    heard: Instant,
}

impl Source {
    fn is_silent(&self, now: Instant, silence: Duration) -> bool {
        now.saturating_duration_since(self.heard) > silence
    }
}

/// What a message is, given what was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one.
    Next,
    /// Not the next one: some before it were lost.
    AfterGap,
    /// It was heard, or given up, before.
    Old,
}

impl Sources {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, own_applied: 0, others: HashMap::new() }
    }

    /// This node's listeners have heard this node's message.
    pub(super) fn heard_own(&mut self, sequence: u64) {
        self.own_applied = self.own_applied.max(sequence);
    }

    /// What this message of another node is. It counts as applied only with [`apply`](Self::apply).
    pub(super) fn judge(&self, stamp: Stamp) -> Verdict {
        let last = self.others.get(&stamp.node).map_or(0, |source| source.last);
        match stamp.sequence {
            old if old <= last => Verdict::Old,
            next if next == last + 1 => Verdict::Next,
            _ => Verdict::AfterGap,
        }
    }

    /// Whether a heartbeat tells of messages that were not heard.
    pub(super) fn is_ahead(&self, stamp: Stamp) -> bool {
        stamp.sequence > self.others.get(&stamp.node).map_or(0, |source| source.last)
    }

    /// The listeners have heard that far, or have been told of a gap.
    pub(super) fn apply(&mut self, stamp: Stamp, now: Instant) {
        if self.others.len() >= MOST && !self.others.contains_key(&stamp.node) {
            let longest = self.others.iter().min_by_key(|(_, source)| source.heard).map(|(node, _)| *node);
            longest.map(|node| self.others.remove(&node));
        }
        let source = self.others.entry(stamp.node).or_insert(Source { last: 0, heard: now });
        source.last = source.last.max(stamp.sequence);
        source.heard = source.heard.max(now);
    }

    /// How far this node's listeners have come with that node's messages.
    pub(super) fn applied(&self, node: NodeId) -> u64 {
        match node == self.own {
            true => self.own_applied,
            false => self.others.get(&node).map_or(0, |source| source.last),
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.others.remove(&node);
    }

    /// After the link was down: they may have been silent because nobody could be heard.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.others.values_mut().for_each(|source| source.heard = now);
    }

    pub(super) fn anyone_silent(&self, now: Instant, silence: Duration) -> bool {
        self.others.values().any(|source| source.is_silent(now, silence))
    }

    /// Forgets whoever is silent and not among these, and answers whom.
    pub(super) fn forget_gone(&mut self, living: &[NodeId], now: Instant, silence: Duration) -> Vec<NodeId> {
        let is_gone =
            |node: &NodeId, source: &mut Source| source.is_silent(now, silence) && !living.contains(node);
        self.others.extract_if(is_gone).map(|(node, _)| node).collect()
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.others.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: NodeId = NodeId::from_bits(1);
    const OTHER: NodeId = NodeId::from_bits(2);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    proptest! {
        /// Whatever of a node's messages is lost, repeated or turned around, a listener hears them in order, each at most
        /// once, and hears a gap wherever one is missing.
        #[test]
        fn no_loss_goes_unnoticed(heard in proptest::collection::vec(1_u64..20, 0..60), beats in proptest::collection::vec(any::<bool>(), 60)) {
            let mut sources = Sources::new(OWN);
            let (mut told, mut highest) = (0, 0);
            for (sequence, is_beat) in heard.into_iter().zip(beats) {
                let stamp = Stamp { node: OTHER, sequence };
                highest = highest.max(sequence);
                let gap = match is_beat {
                    true => sources.is_ahead(stamp),
                    false => match sources.judge(stamp) {
                        Verdict::Next => { prop_assert_eq!(sequence, told + 1); false }
                        Verdict::AfterGap => { prop_assert!(sequence > told + 1); true }
                        Verdict::Old => { prop_assert!(sequence <= told); false }
                    },
                };
                prop_assert_eq!(gap, if is_beat { sequence > told } else { sequence > told + 1 });
                sources.apply(stamp, now());
                told = told.max(sequence);
                prop_assert_eq!(sources.applied(OTHER), highest);
            }
        }
    }

    #[test]
    fn silence_counts_until_it_is_broken_excused_or_forgotten() {
        let mut sources = Sources::new(OWN);
        let (start, second) = (now(), Duration::from_secs(1));
        let stamp = Stamp { node: OTHER, sequence: 0 };
        sources.apply(stamp, start);
        assert!(!sources.anyone_silent(start + second, second));
        assert!(sources.anyone_silent(start + 2 * second, second));
        sources.apply(stamp, start + 2 * second);
        assert!(!sources.anyone_silent(start + 2 * second, second));
        sources.excuse(start + 9 * second);
        assert!(!sources.anyone_silent(start + 10 * second, second));
        assert!(sources.anyone_silent(start + 11 * second, second));
        assert!(sources.forget_gone(&[], start + 10 * second, second).is_empty(), "it may still speak");
        assert!(
            sources.forget_gone(&[OTHER], start + 11 * second, second).is_empty(),
            "it lives, somebody says"
        );
        assert_eq!(sources.forget_gone(&[], start + 11 * second, second), [OTHER]);
        assert!(!sources.anyone_silent(start + 11 * second, second));
    }

    #[test]
    fn memory_is_bounded_whoever_speaks() {
        let mut sources = Sources::new(OWN);
        let start = now();
        for node in 0..3 * MOST as u128 {
            let stamp = Stamp { node: NodeId::from_bits(node + 10), sequence: 1 };
            sources.apply(stamp, start + Duration::from_millis(node as u64));
        }
        assert_eq!(sources.nodes().len(), MOST);
        assert_eq!(sources.applied(NodeId::from_bits(10)), 0);
        assert_eq!(sources.applied(NodeId::from_bits(9 + 3 * MOST as u128)), 1);
    }
}
