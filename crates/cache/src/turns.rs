//! One load for the whole cluster: whose turn it is, is decided where all nodes look, in the second tier.
//!
//! ```text
//!   flight ── far: nothing ── claim ──┬─ granted ── far once more ── loader ── far ── given back ── "arrived" to all nodes
//!                                     └─ another's ── "arrived", or 50 ms ── far ──┬─ there: landed
//!                                                                                  └─ nothing: claim
//! ```
//!
//! What this is: a way to save loads. What it is not: a lock that anything's correctness hangs on. A claim ends by itself, and
//! two who load the same key at once do no harm; the fences decide whose value is kept.
//!
//! # When it breaks
//! Whoever holds the claim and dies is followed when its time is up. Where the second tier is silent, each node loads for
//! itself. Nobody waits longer than `load_timeout`.

use std::hash::Hash;
use std::time::Duration;

use burgeon_core::Ctx;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::far::{Asked, Ticket};
use crate::flight::Landing;
use crate::hashes::shared;
use crate::inner::Inner;

/// How often whoever waits for another node's load looks, should the word of its landing be lost.
const LOOK: Duration = Duration::from_millis(50);

/// The right to make the one load, to be given back.
pub(crate) struct Turn(Ticket);

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// What a flight is to do that found nothing in the second tier: wait for another node's load, or make its own.
    pub(crate) async fn take_turns(
        &self,
        ctx: &Ctx,
        landing: &Landing<K, V>,
        asked: Asked<V>,
    ) -> (Asked<V>, Option<Turn>) {
        let (Some(far), Some(life)) = (&self.far, self.once_per_cluster) else { return (asked, None) };
        let Asked::Load(Some(mut ticket)) = asked else { return (asked, None) };
        let until = Instant::now() + self.config.load_timeout;
        let hash = shared(landing.key());
        // Listening before the first claim, so that no landing is missed between a refusal and the wait.
        let mut arrivals = self.neighbours.as_ref().map(|neighbours| neighbours.arrivals.subscribe());
        loop {
            match far.claim(&ticket, life).await {
                Err(_) => return (Asked::Load(Some(ticket)), None),
                Ok(true) => {
                    // Somebody may have landed between the look and the claim.
                    return match self.ask_far_within(ctx, landing, self.far_limit(landing)).await {
                        Asked::Load(Some(fresh)) => (Asked::Load(Some(fresh)), Some(Turn(ticket))),
                        there => {
                            far.unclaim(&ticket).await;
                            (there, None)
                        }
                    };
                }
                Ok(false) if Instant::now() >= until => return (Asked::Load(Some(ticket)), None),
                Ok(false) => {
                    self.meters.waited_for_node.increment();
                    let look = (Instant::now() + LOOK).min(until);
                    match &mut arrivals {
                        Some(arrivals) => {
                            let arrived = async {
                                // One that overflowed may have lost this key's.
                                while arrivals.recv().await.is_ok_and(|arrived| arrived != hash) {}
                            };
                            drop(timeout_at(look, arrived).await);
                        }
                        None => sleep_until(look).await,
                    }
                    match self.ask_far_within(ctx, landing, self.far_limit(landing)).await {
                        Asked::Load(Some(fresh)) => ticket = fresh,
                        there => return (there, None),
                    }
                }
            }
        }
    }

    /// The one load has ended, with a value in the second tier or without.
    pub(crate) async fn give_turn_back(&self, key: &K, turn: Turn) {
        let (Some(far), Turn(ticket)) = (&self.far, turn) else { return };
        far.unclaim(&ticket).await;
        if let Some(neighbours) = &self.neighbours {
            neighbours.desk.say_arrived(neighbours.about, shared(key));
        }
    }
}
