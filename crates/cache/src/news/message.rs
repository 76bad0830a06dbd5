//! What nodes tell each other about their caches: version 2.
//!
//! A message, little-endian: version (u8), flags (u8; 1: far is in doubt, 2: a key's text follows, 4: far has all that its sender has
//! told so far), the commit that what it tells of follows from (timeline u32, position u64), the text if there is one (its length u16,
//! UTF-8), then items of 21 bytes: kind (u8), hash of the cache's name (u64), dialect (u32), hash of key or tag, or a number (u64).
//!
//! No values, and no keys but one: that which the second tier has not been told of, and which a neighbour can name there only by
//! its text. The flag of doubt keeps its place in every version, so that whoever does not understand the rest still knows that there
//! is something not to be believed.

use std::sync::Arc;

#[cfg(test)]
use burgeon_cluster::bus::LONGEST;
use burgeon_core::Position;

use crate::tombstones::Reach;

const VERSION: u8 = 2;
const HEAD: usize = 1 + 1 + 4 + 8;
const DOUBTFUL: u8 = 1;
const TEXT: u8 = 2;
const SETTLED: u8 = 4;
const ITEM: usize = 1 + 8 + 4 + 8;

/// So many items fit into one message beside the longest text.
#[cfg(test)]
const MOST: usize = (LONGEST - HEAD - 2 - 1_024) / ITEM;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// How far the database must be for whoever loads anew.
    pub(crate) floor: Position,
    /// Whoever says it could not reach the second tier, which may still hold what was there before.
    pub(crate) is_doubtful: bool,
    /// The second tier has by now everything of which its sender has said that it might not.
    pub(crate) is_settled: bool,
    /// What the second tier calls the key that it tells of, where that may be of use.
    pub(crate) text: Option<Arc<str>>,
    pub(crate) items: Vec<Item>,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) about: About,
    pub(crate) what: What,
}

/// To which cache, and how its keys are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct About {
    pub(crate) cache: u64,
    pub(crate) dialect: u32,
}

/// What. Hashes are the shared ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// What is under the key is wrong, or out of date.
    Key(u64, Reach),
    /// What is under the tag is.
    Tag(u64, Reach),
    /// Everything is.
    All(Reach),
    /// A load for the whole cluster has ended: what is under the key can be had where all nodes look.
    Arrived(u64),
    /// Whoever has applied this message says so, with this number.
    Ask(u64),
    /// It has.
    Echo(u64),
}

impl Message {
    pub(crate) fn write(&self) -> Vec<u8> {
        // The second tier knows none that is longer than 1 KiB.
        let text = self.text.as_deref().and_then(|text| Some((u16::try_from(text.len()).ok()?, text)));
        let mut bytes =
            Vec::with_capacity(HEAD + text.map_or(0, |(_, text)| 2 + text.len()) + ITEM * self.items.len());
        let flags = [(self.is_doubtful, DOUBTFUL), (text.is_some(), TEXT), (self.is_settled, SETTLED)];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag);
        bytes.extend_from_slice(&[VERSION, flags]);
        bytes.extend_from_slice(&self.floor.timeline.to_le_bytes());
        bytes.extend_from_slice(&self.floor.lsn.to_le_bytes());
        if let Some((length, text)) = text {
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        for Item { about, what } in &self.items {
            let (kind, number): (u8, u64) = match *what {
                What::Key(hash, Reach::Remove) => (1, hash),
                What::Key(hash, Reach::Expire) => (2, hash),
                What::Tag(hash, Reach::Remove) => (3, hash),
                What::Tag(hash, Reach::Expire) => (4, hash),
                What::All(Reach::Remove) => (5, 0),
                What::All(Reach::Expire) => (6, 0),
                What::Arrived(hash) => (7, hash),
                What::Ask(number) => (8, number),
                What::Echo(number) => (9, number),
            };
            bytes.push(kind);
            bytes.extend_from_slice(&about.cache.to_le_bytes());
            bytes.extend_from_slice(&about.dialect.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// `None`: of another version, or nonsense. It may have told of anything.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        if head[0] != VERSION || head[1] & !(DOUBTFUL | TEXT | SETTLED) != 0 {
            return None;
        }
        let (text, items) = match head[1] & TEXT {
            0 => (None, rest),
            _ => {
                let (length, rest) = rest.split_first_chunk()?;
                let (text, items) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                (Some(std::str::from_utf8(text).ok()?.into()), items)
            }
        };
        if items.len() % ITEM != 0 {
            return None;
        }
        let floor = Position {
            timeline: u32::from_le_bytes(head[2..6].try_into().ok()?),
            lsn: u64::from_le_bytes(head[6..14].try_into().ok()?),
        };
        let items = items.chunks_exact(ITEM).map(Item::read).collect::<Option<_>>()?;
        let (is_doubtful, is_settled) = (head[1] & DOUBTFUL != 0, head[1] & SETTLED != 0);
        Some(Self { floor, is_doubtful, is_settled, text, items })
    }

    /// Whether the second tier is in doubt, in a message that may be of any version.
    pub(crate) fn is_doubtful_in_any(bytes: &[u8]) -> bool {
        bytes.get(1).is_none_or(|flags| flags & DOUBTFUL != 0)
    }
}

impl Item {
    fn read(bytes: &[u8]) -> Option<Self> {
        let about = About {
            cache: u64::from_le_bytes(bytes[1..9].try_into().ok()?),
            dialect: u32::from_le_bytes(bytes[9..13].try_into().ok()?),
        };
        let number = u64::from_le_bytes(bytes[13..21].try_into().ok()?);
        let what = match bytes[0] {
            1 => What::Key(number, Reach::Remove),
            2 => What::Key(number, Reach::Expire),
            3 => What::Tag(number, Reach::Remove),
            4 => What::Tag(number, Reach::Expire),
            5 => What::All(Reach::Remove),
            6 => What::All(Reach::Expire),
            7 => What::Arrived(number),
            8 => What::Ask(number),
            9 => What::Echo(number),
            _ => return None,
        };
        Some(Self { about, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item() -> impl Strategy<Value = Item> {
        (1_u8..10, any::<u64>(), any::<u32>(), any::<u64>()).prop_map(|(kind, cache, dialect, number)| {
            let number = if matches!(kind, 5 | 6) { 0 } else { number };
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&cache.to_le_bytes());
            bytes.extend_from_slice(&dialect.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
            Item::read(&bytes).unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_message_survives_the_wire(
            timeline: u32,
            lsn: u64,
            is_doubtful: bool,
            is_settled: bool,
            text in proptest::option::of(".{0,256}"),
            items in proptest::collection::vec(item(), 0..MOST),
        ) {
            let text = text.map(|text| text.as_str().into());
            let message = Message { floor: Position { timeline, lsn }, is_doubtful, is_settled, text, items };
            let bytes = message.write();
            prop_assert!(bytes.len() <= LONGEST);
            prop_assert_eq!(Message::is_doubtful_in_any(&bytes), is_doubtful);
            prop_assert_eq!(Message::read(&bytes), Some(message));
        }

        #[test]
        fn nonsense_is_no_message_or_survives(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(message) = Message::read(&bytes) {
                prop_assert_eq!(message.write().len(), bytes.len());
            }
        }
    }

    #[test]
    fn a_text_that_is_cut_off_is_no_message() {
        let about = About { cache: 1, dialect: 2 };
        let items = vec![Item { about, what: What::Key(3, Reach::Remove) }];
        let text = Some("\"mug\"".into());
        let whole =
            Message { floor: Position::START, is_doubtful: true, is_settled: false, text, items }.write();
        assert!(Message::read(&whole).is_some());
        // Without its item it would be one that tells of nothing.
        for length in (0..whole.len()).filter(|length| *length != whole.len() - ITEM) {
            assert_eq!(Message::read(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn another_version_or_kind_is_not_guessed_at() {
        let about = About { cache: 1, dialect: 2 };
        let items = vec![Item { about, what: What::All(Reach::Expire) }];
        let message =
            Message { floor: Position::START, is_doubtful: true, is_settled: false, text: None, items };
        let mut newer = message.write();
        newer[0] = VERSION + 1;
        assert_eq!(Message::read(&newer), None);
        // Though this much is understood.
        assert!(Message::is_doubtful_in_any(&newer) && !Message::is_doubtful_in_any(&[VERSION + 1, 0]));
        let mut stranger = message.write();
        stranger[HEAD] = 77;
        assert_eq!(Message::read(&stranger), None);
    }
}
