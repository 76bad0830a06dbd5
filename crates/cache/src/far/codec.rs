//! A cache's types in the words of the store: functions, so that only who uses the second tier needs types that can be written.

use burgeon_core::units::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::shape::of_type;
use crate::wire::{self, Head, Rules, Unfit, Unreadable};

type Decoded<V> = Result<(Head, Option<V>), Unreadable>;
type Encoded = Result<Vec<u8>, Unfit>;
type Encode<V> = fn(Option<&V>, Head, &Rules) -> Encoded;

pub(crate) struct Codec<K, V> {
    key: fn(&K) -> Option<String>,
    encode: Encode<V>,
    decode: fn(&[u8], Size) -> Decoded<V>,
    pub(crate) fingerprint: u64,
}

impl<K: Serialize, V: Serialize + DeserializeOwned> Codec<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            // JSON: people read keys, and equal keys are equal texts.
            key: |key| serde_json::to_string(key).ok(),
            encode: wire::encode::<V>,
            decode: wire::decode::<V>,
            fingerprint: of_type::<V>(),
        }
    }
}

impl<K, V> Codec<K, V> {
    /// The key's text; `None` when it has none, or one that is longer than `longest` bytes.
    pub(crate) fn key(&self, key: &K, longest: usize) -> Option<String> {
        (self.key)(key).filter(|text| text.len() <= longest)
    }

    pub(crate) fn encode(&self, value: Option<&V>, head: Head, rules: &Rules) -> Encoded {
        (self.encode)(value, head, rules)
    }

    pub(crate) fn decode(&self, bytes: &[u8], limit: Size) -> Decoded<V> {
        (self.decode)(bytes, limit)
    }
}
