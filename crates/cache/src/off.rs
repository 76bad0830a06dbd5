//! With `enabled = false` every read runs its loader, in its caller's own time: as if there were no cache.

use std::hash::Hash;
use std::sync::Arc;

use burgeon_core::{Ctx, Result};

use crate::fault::Fault;
use crate::inner::Inner;
use crate::load::{Load, Loaded};
use crate::loader::Loader;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// What a loader brought, for the one who asked.
    pub(crate) fn unkept(&self, loaded: Loaded<V>) -> Result<Option<Arc<V>>> {
        match loaded {
            Loaded::Value(value) => Ok(Some(Arc::new(value))),
            Loaded::NotFound => Ok(None),
            Loaded::NotModified | Loaded::Keep => {
                Err(Fault::NothingToKeep { cache: self.name.clone() }.into_error())
            }
        }
    }

    /// The same for many keys: in one call where the loader takes many, otherwise one after the other.
    pub(crate) async fn many_unkept(
        &self,
        ctx: &Ctx,
        keys: Vec<K>,
        loader: &Loader<K, V>,
    ) -> Result<Vec<Option<Arc<V>>>> {
        if let Loader::Many(many) = loader {
            let found = many(Load::new(ctx.clone(), None), keys.clone()).await?;
            // A key may be asked for twice.
            let found: std::collections::HashMap<K, Arc<V>> =
                found.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
            return Ok(keys.iter().map(|key| found.get(key).cloned()).collect());
        }
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.unkept(loader.load(Load::new(ctx.clone(), None), key).await?)?);
        }
        Ok(values)
    }
}
