//! Which key signs and which still verify, as a function of the time.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Names it, in the table and in what it signed.
    pub(crate) id: i64,
    pub(crate) secret: [u8; 32],
    /// From when on it signs.
    pub(crate) signs_from: Timestamp,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("signs_from", &self.signs_from)
            .finish_non_exhaustive()
    }
}

/// The keys known to this node, in the order in which they come to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ring {
    keys: Vec<Key>,
}

impl Ring {
    pub(crate) fn new(mut keys: Vec<Key>) -> Self {
        // Two made in the same moment are ordered by their id, so that all nodes agree.
        keys.sort_by_key(|key| (key.signs_from, key.id));
        Self { keys }
    }

    pub(crate) fn fixed(secret: &[u8]) -> Self {
        let secret: [u8; 32] = Sha256::digest(secret).into();
        Self::new(vec![Key { id: 0, secret, signs_from: Timestamp::MIN }])
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The latest key whose time has come. Before any has (a clock behind the database's), the earliest: refusing to
    /// sign would be worse than signing early with a key that all nodes know.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<&Key> {
        self.keys.iter().rev().find(|key| key.signs_from <= now).or(self.keys.first())
    }

    /// The key that signed, if it is still known. Nodes forget keys only when the table does.
    pub(crate) fn verifying(&self, id: i64) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}
