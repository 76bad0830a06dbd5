//! A cache as everybody writes it once: look, load, put; remove, and tell the others to remove. What the experiment must
//! find wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burgeon_cluster::bus::Listening;
use burgeon_cluster::{Bus, Delivery, Stamp};

#[derive(Clone, Default)]
pub struct CacheAside(Arc<Mutex<HashMap<u64, u64>>>);

const TOPIC: &str = "naive";

impl CacheAside {
    pub fn on(bus: &Bus) -> (Self, Listening) {
        let cache = Self::default();
        let map = cache.clone();
        let listening = bus.listen(TOPIC, move |delivery| {
            let Delivery::Message(message) = delivery else { return map.map().clear() };
            if let Ok(key) = message.payload[..].try_into().map(u64::from_le_bytes) {
                map.map().remove(&key);
            }
        });
        (cache, listening)
    }

    pub async fn get(&self, key: u64, load: impl Future<Output = u64>) -> u64 {
        let known = self.map().get(&key).copied();
        match known {
            Some(version) => version,
            None => {
                let version = load.await;
                self.map().insert(key, version);
                version
            }
        }
    }

    pub fn remove(&self, bus: &Bus, key: u64) -> Option<Stamp> {
        self.map().remove(&key);
        bus.publish(TOPIC, key.to_le_bytes().to_vec()).ok()
    }

    fn map(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
