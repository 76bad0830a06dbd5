//! The wire: frames in packets. Version 1.
//!
//! A packet is frames one after the other, each behind its length (u16). A frame, little-endian: version (u8), kind (u8),
//! node (u128), sequence (u64), length of the topic (u8), topic, payload. A frame of a version or kind that is not known
//! is skipped, by its length, and counted: nodes of two versions can run together. Version, kind, node and sequence stay where
//! they are in every version, so that what is skipped is at least known to have been said.

use std::sync::Arc;

use bytes::Bytes;

use super::delivery::Stamp;
use crate::NodeId;

/// The longest packet. As base64 it has 7,868 characters; a Postgres notification must have fewer than 8,000.
pub(super) const LONGEST_PACKET: usize = 5_900;

const VERSION: u8 = 1;
/// Version, kind, node and sequence: in every version.
const STAMP: usize = 1 + 1 + 16 + 8;
const HEAD: usize = STAMP + 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Of a message its own; of the others the last one before it.
    pub(super) stamp: Stamp,
    pub(super) said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Message {
        topic: Arc<str>,
        payload: Bytes,
    },
    /// I am here.
    Beat,
    /// I leave.
    Bye,
}

/// What a packet holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    Frame(Frame),
    /// Of another version, or a kind that is not known: this much was said by somebody.
    Unknown(Stamp),
    /// No frame at all.
    Nonsense,
}

impl Frame {
    /// How much of a packet it takes.
    pub(super) fn size(&self) -> usize {
        2 + HEAD
            + match &self.said {
                Said::Message { topic, payload } => topic.len() + payload.len(),
                Said::Beat | Said::Bye => 0,
            }
    }

    pub(super) fn write(&self, packet: &mut Vec<u8>) {
        let (kind, topic, payload): (u8, &str, &[u8]) = match &self.said {
            Said::Message { topic, payload } => (1, topic, payload),
            Said::Beat => (2, "", &[]),
            Said::Bye => (3, "", &[]),
        };
        packet.extend_from_slice(&((self.size() - 2) as u16).to_le_bytes());
        packet.extend_from_slice(&[VERSION, kind]);
        packet.extend_from_slice(&self.stamp.node.bits().to_le_bytes());
        packet.extend_from_slice(&self.stamp.sequence.to_le_bytes());
        packet.push(topic.len() as u8);
        packet.extend_from_slice(topic.as_bytes());
        packet.extend_from_slice(payload);
    }

    fn read(frame: &Bytes) -> Read {
        let Some(stamp) = stamp(frame) else { return Read::Nonsense };
        match Self::said(frame) {
            Some(said) => Read::Frame(Frame { stamp, said }),
            None => Read::Unknown(stamp),
        }
    }

    fn said(frame: &Bytes) -> Option<Said> {
        let (head, rest) = frame.split_at_checked(HEAD)?;
        match (head[0], head[1]) {
            (VERSION, 1) => {
                let (topic, payload) = rest.split_at_checked(usize::from(head[STAMP]))?;
                Some(Said::Message {
                    topic: std::str::from_utf8(topic).ok()?.into(),
                    payload: frame.slice_ref(payload),
                })
            }
            (VERSION, 2) => Some(Said::Beat),
            (VERSION, 3) => Some(Said::Bye),
            _ => None,
        }
    }
}

fn stamp(frame: &[u8]) -> Option<Stamp> {
    let head = frame.get(..STAMP)?;
    Some(Stamp {
        node: NodeId::from_bits(u128::from_le_bytes(head[2..18].try_into().ok()?)),
        sequence: u64::from_le_bytes(head[18..].try_into().ok()?),
    })
}

/// The frames of a packet. What is cut off in the middle ends it.
pub(super) fn frames(mut packet: Bytes) -> impl Iterator<Item = Read> {
    std::iter::from_fn(move || {
        if packet.is_empty() {
            return None;
        }
        let length = packet.get(..2).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])));
        match length {
            Some(length) if packet.len() >= 2 + length => {
                let mut frame = packet.split_to(2 + length);
                Some(Frame::read(&frame.split_off(2)))
            }
            _ => {
                packet.clear();
                Some(Read::Nonsense)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame() -> impl Strategy<Value = Frame> {
        let said = prop_oneof![
            ("[a-zü:]{0,40}", proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(topic, payload)| {
                Said::Message { topic: topic.into(), payload: payload.into() }
            }),
            Just(Said::Beat),
            Just(Said::Bye),
        ];
        (any::<u128>(), any::<u64>(), said).prop_map(|(node, sequence, said)| Frame {
            stamp: Stamp { node: NodeId::from_bits(node), sequence },
            said,
        })
    }

    proptest! {
        #[test]
        fn frames_survive_a_packet(sent in proptest::collection::vec(frame(), 0..20)) {
            let mut packet = Vec::new();
            sent.iter().for_each(|frame| frame.write(&mut packet));
            prop_assert_eq!(packet.len(), sent.iter().map(Frame::size).sum::<usize>());
            let read: Vec<_> = frames(packet.into()).collect();
            prop_assert_eq!(read, sent.into_iter().map(Read::Frame).collect::<Vec<_>>());
        }

        #[test]
        fn nonsense_is_skipped(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(frames(bytes.into()).count() <= 150);
        }

        #[test]
        fn a_frame_of_another_version_or_kind_does_not_hide_the_next(frame in frame(), kind in 4_u8.., newer: bool) {
            let mut packet = Vec::new();
            frame.write(&mut packet);
            packet[if newer { 2 } else { 3 }] = kind;
            frame.write(&mut packet);
            let both = vec![Read::Unknown(frame.stamp), Read::Frame(frame)];
            prop_assert_eq!(frames(packet.into()).collect::<Vec<_>>(), both);
        }
    }
}
