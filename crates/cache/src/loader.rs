//! The two sorts of loaders, generic at the door and erased behind it.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;

use burgeon_core::Result;

use crate::load::{Load, Loaded};

/// A load under way.
pub(crate) type Loading<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

type One<K, V> = Arc<dyn Fn(Load, K) -> Loading<Loaded<V>> + Send + Sync>;
/// Loads those of many keys that there are.
pub(crate) type Many<K, V> = Arc<dyn Fn(Load, Vec<K>) -> Loading<HashMap<K, V>> + Send + Sync>;

/// What belongs to a cache.
pub(crate) enum Loader<K, V> {
    One(One<K, V>),
    Many(Many<K, V>),
}

impl<K, V> Clone for Loader<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::One(one) => Self::One(one.clone()),
            Self::Many(many) => Self::Many(many.clone()),
        }
    }
}

impl<K, V> Loader<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn one<P, F, Fut, R>(parts: P, load: F) -> Self
    where
        P: Clone + Send + Sync + 'static,
        F: Fn(P, Load, K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Into<Loaded<V>>,
    {
        Self::One(Arc::new(move |about, key| {
            let loading = load(parts.clone(), about, key);
            Box::pin(async move { loading.await.map(Into::into) })
        }))
    }

    pub(crate) fn many<P, F, Fut>(parts: P, load: F) -> Self
    where
        P: Clone + Send + Sync + 'static,
        F: Fn(P, Load, Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        Self::Many(Arc::new(move |about, keys| Box::pin(load(parts.clone(), about, keys))))
    }

    /// Loads one key.
    pub(crate) fn load(&self, about: Load, key: K) -> Loading<Loaded<V>> {
        match self {
            Self::One(one) => one(about, key),
            Self::Many(many) => {
                let loading = many(about, vec![key.clone()]);
                Box::pin(async move { loading.await.map(|mut found| found.remove(&key).into()) })
            }
        }
    }
}
