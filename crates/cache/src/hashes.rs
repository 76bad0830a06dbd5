//! How keys and tags are hashed: for this process alone, or so that every node comes to the same number.
//!
//! A node tells the others which key is wrong by its hash, so that keys need no encoding and stay where they are. What is
//! looked up in memory is that hash, hashed again with a secret of this process: who knows how to make keys collide
//! everywhere does not know how to make them collide here. Two keys of one shared hash cost each other a load.
//!
//! The standard library may change its hash between releases, and a key type its own between versions of the application.
//! Therefore each message carries a [`dialect`]: a node that hears another one than its own forgets the whole cache.

use std::any::type_name;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

use foldhash::quality::RandomState;

/// How one cache hashes.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    own: RandomState,
    /// Whether hashes are told to other nodes.
    is_shared: bool,
}

impl Hashes {
    pub(crate) fn new(is_shared: bool) -> Self {
        Self { own: RandomState::default(), is_shared }
    }

    /// What a key or a tag is looked up by in this process.
    pub(crate) fn here<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        match self.is_shared {
            true => self.of_shared(shared(key)),
            false => self.own.hash_one(key),
        }
    }

    /// The same from what another node said.
    pub(crate) fn of_shared(&self, shared: u64) -> u64 {
        self.own.hash_one(shared)
    }
}

/// What a key or a tag is called between nodes.
pub(crate) fn shared<Q: Hash + ?Sized>(key: &Q) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// How this program hashes keys of this type: equal where hashes of equal keys are equal, as far as can be told.
pub(crate) fn dialect<K>() -> u32 {
    let sample = (
        (1_u8, 2_u16, 3_u32, 4_u64, 5_usize, 6_u128, -7_i64),
        ("text", String::from("text"), 'x', true),
        (Some(8_u64), None::<u64>, [9_u8, 10], vec![11_u32, 12], ()),
        type_name::<K>(),
    );
    shared(&sample) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_agree_on_what_is_shared_and_on_nothing_else() {
        let (one, other) = (Hashes::new(true), Hashes::new(true));
        assert_eq!(one.here("mug"), one.of_shared(shared("mug")));
        assert_eq!(one.here("mug"), one.here(&String::from("mug")));
        assert_ne!(one.here("mug"), other.here("mug"));
        assert_eq!(dialect::<u64>(), dialect::<u64>());
        assert_ne!(dialect::<u64>(), dialect::<String>());
    }
}
