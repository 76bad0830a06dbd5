//! The step between memory and the loader: asks the second tier.
//!
//! ```text
//!   near ── flight ── near again ── far, one round trip ──┬─ fresh ───────── near, those aboard are told
//!                                                         ├─ stale ───────── near, to fall back on ─┐
//!                                                         ├─ nothing ─────────────────────────────── loader ── near ── told ── far
//!                                                         └─ silent ── a place among the few loads ─┘
//! ```

use std::hash::Hash;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_resilience::bulkhead;

use super::store::Burial;
use super::tier::{Export, Ticket, Told};
use crate::fault::Fault;
use crate::flight::Landing;
use crate::inner::Inner;
use crate::stored::{Life, Look, Stored};
use crate::wire::{Head, Span};

/// What another node names of the second tier.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named<'a> {
    /// A key by its text there.
    Key(&'a str),
    /// A tag by its hash.
    Tag(u64),
    Everything,
}

/// What a flight is to do now.
pub(crate) enum Asked<V> {
    /// Land with this.
    Land(Stored<V>),
    /// Load, and offer the value with the ticket, if there is one.
    Load(Option<Ticket>),
    /// Load, if there is a place: the second tier does not hold the loads back.
    LoadInPlace,
}

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Asks the second tier for the keys of all these flights, in one round trip. What is stale there is in memory after this.
    pub(crate) async fn ask_far(&self, ctx: &Ctx, landings: &[&Landing<K, V>]) -> Vec<Asked<V>> {
        let Some(far) = self.far.as_ref().filter(|_| !self.is_behind(ctx)) else {
            return landings.iter().map(|_| Asked::Load(None)).collect();
        };
        // For everybody at once, so it is as if it were silent.
        if self.has_missed_something() {
            far.desk.meters.passed_over.add(landings.len() as u64);
            return landings.iter().map(|_| Asked::LoadInPlace).collect();
        }
        let keys: Vec<&K> = landings.iter().map(|landing| landing.key()).collect();
        let have_something =
            landings.iter().all(|landing| self.at_worst(landing.hash(), landing.key(), 0).is_some());
        let told = far.ask(&keys, far.limit(have_something)).await;
        landings.iter().zip(told).map(|(landing, told)| self.weigh_up(landing, told)).collect()
    }

    /// How long the second tier is waited for.
    pub(crate) fn far_limit(&self, landing: &Landing<K, V>) -> Duration {
        let Some(far) = &self.far else { return Duration::ZERO };
        far.limit(self.at_worst(landing.hash(), landing.key(), 0).is_some())
    }

    /// The same for one key, together with others who ask at the same time.
    pub(crate) async fn ask_far_within(
        &self,
        ctx: &Ctx,
        landing: &Landing<K, V>,
        limit: Duration,
    ) -> Asked<V> {
        let Some(far) = self.far.as_ref().filter(|_| !self.is_behind(ctx)) else { return Asked::Load(None) };
        if self.has_missed_something() {
            far.desk.meters.passed_over.increment();
            return Asked::LoadInPlace;
        }
        let told = far.ask_one(landing.key(), limit).await;
        self.weigh_up(landing, told)
    }

    fn weigh_up(&self, landing: &Landing<K, V>, told: Told<V>) -> Asked<V> {
        let Some(far) = &self.far else { return Asked::Load(None) };
        let meters = &far.desk.meters;
        let (value, head, age, is_expired, ticket) = match told {
            Told::There { value, head, age, is_expired, ticket } => (value, head, age, is_expired, ticket),
            Told::Nothing(ticket) => return Asked::Load(Some(ticket)),
            Told::Unfit => return Asked::Load(None),
            Told::Silent => return Asked::LoadInPlace,
        };
        // It was loaded from a database that had not come as far as what invalidated this key here.
        let is_behind = head.position() < self.generations.floor(landing.hash());
        let stored = self.stored_from(landing, value, head, age);
        if is_behind || !self.is_better(landing, &stored, is_expired) {
            meters.misses.increment();
            return Asked::Load(Some(ticket));
        }
        if is_expired {
            stored.expire();
        }
        if !is_expired && self.clock.now() < stored.life.fresh {
            meters.hits.increment();
            return Asked::Land(stored);
        }
        // Something to fall back on, if the loader fails or takes long.
        meters.hits_stale.increment();
        landing.found_stale(stored);
        Asked::Load(Some(ticket))
    }

    /// Whether it is newer than what is in memory, and not about to be refreshed like that.
    fn is_better(&self, landing: &Landing<K, V>, there: &Stored<V>, is_expired: bool) -> bool {
        let now = self.clock.now();
        if now >= there.life.kept {
            return false;
        }
        let born = self.near.read(landing.hash(), landing.key(), |here| here.life.born);
        let Some(born) = born else { return true };
        if born >= there.life.born {
            return false;
        }
        match self.look(landing.hash(), landing.key(), 0) {
            // An early refresh: what is to be refreshed there, too, is no help.
            Look::Fresh { .. } | Look::Early { .. } => {
                !is_expired && now.saturating_add(there.life.eager) < there.life.fresh
            }
            Look::Revalidate(_) | Look::Stale | Look::Nothing => true,
        }
    }

    fn stored_from(&self, landing: &Landing<K, V>, value: Option<V>, head: Head, age: Duration) -> Stored<V> {
        let now = self.clock.now();
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        // Never zero, which means expired by hand.
        let at = |after: u64| now.saturating_add(after).saturating_sub(age).max(1);
        let Head { span, tags, validators, .. } = head;
        let life = Life {
            born: at(0),
            fresh: at(span.fresh),
            eager: span.eager,
            revalidate: at(span.revalidate),
            kept: at(span.kept),
            cost: span.cost,
            stale: false,
        };
        let validators = validators.map(std::sync::Arc::new);
        // An empty one of this sort is made without an allocation.
        let tags = if tags.is_empty() { std::sync::Arc::default() } else { tags.into() };
        Stored::new(value.map(std::sync::Arc::new), landing.stamp(), tags, validators, life)
    }

    /// A place among the loads that run while the second tier is silent. Who has a stale value takes that rather than wait.
    pub(crate) async fn place_to_load(
        &self,
        landing: &Landing<K, V>,
    ) -> Result<Option<bulkhead::Permit>, Error> {
        let Some(far) = &self.far else { return Ok(None) };
        let remote = &far.desk.remote;
        let place = match remote.place() {
            Ok(place) => return Ok(Some(place)),
            Err(refused) if self.at_worst(landing.hash(), landing.key(), 0).is_some() => Err(refused),
            Err(_) => {
                far.desk.meters.cap_waited.increment();
                remote.wait_for_place().await
            }
        };
        place.map(Some).map_err(|_| {
            far.desk.meters.cap_refused.increment();
            Fault::Crowded { cache: self.name.clone() }.into_error()
        })
    }

    /// What is told to the second tier of a value that is kept now. Of what is stale, nothing.
    pub(crate) fn export(&self, stored: &Stored<V>, position: Position) -> Option<Export<V>> {
        self.far.as_ref().filter(|_| !stored.life.stale)?;
        let (now, life) = (self.clock.now(), stored.life);
        Some(Export {
            value: stored.value.clone(),
            span: Span {
                fresh: life.fresh.saturating_sub(now),
                eager: life.eager,
                revalidate: life.revalidate.saturating_sub(now),
                kept: life.kept.saturating_sub(now),
                cost: life.cost,
            },
            tags: stored.tags.to_vec(),
            validators: stored.validators.as_deref().cloned(),
            position,
        })
    }

    /// The second tier may hold what another node has invalidated and could not tell it: it is invalidated there by this one.
    pub(crate) fn distrust_far(&self, named: Named<'_>, burial: Burial) {
        let Some(far) = &self.far else { return };
        let doubt = match named {
            Named::Key(text) => far.doubt_text(text, burial),
            Named::Tag(tag) => far.doubt_tag(tag, burial),
            Named::Everything => far.doubt_everything(burial),
        };
        doubt.tell();
        // Settled in the background.
        drop(doubt);
    }
}
