//! How far a flight has come, and who wants to hear of it. Most flights have one aboard, who finds it landed: so nothing is allocated
//! before somebody waits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::flight::Landed;
use crate::sync::{Mutex, hold};

/// What those aboard share.
pub(crate) struct Progress<V> {
    // Not a tokio mutex: nothing awaits under it, and nobody is woken under it.
    state: Mutex<State<V>>,
}

struct State<V> {
    stage: Stage<V>,
    /// Places aboard that are taken.
    taken: usize,
    next: u64,
    /// Who waits, by his place.
    waiting: HashMap<u64, Waker>,
    /// Who wants to know when the last place is given back.
    alone: Option<Waker>,
}

enum Stage<V> {
    Flying,
    /// Something stale was found on the way, which those aboard may fall back on.
    FoundStale,
    Landed(Landed<V>),
}

impl<V> Progress<V> {
    pub(crate) fn new() -> Self {
        let state = State { stage: Stage::Flying, taken: 0, next: 0, waiting: HashMap::new(), alone: None };
        Self { state: Mutex::new(state) }
    }

    /// Takes a place, to be [`left`](Self::leave).
    pub(crate) fn enter(&self) -> u64 {
        let mut state = hold(&self.state);
        state.taken += 1;
        state.next += 1;
        state.next
    }

    pub(crate) fn leave(&self, place: u64) {
        let mut state = hold(&self.state);
        state.taken -= 1;
        let gone = state.waiting.remove(&place);
        let alone = if state.taken == 0 { state.alone.take() } else { None };
        drop(state);
        drop(gone);
        alone.into_iter().for_each(Waker::wake);
    }

    /// Something stale was found.
    pub(crate) fn found_stale(&self) {
        self.reach(Stage::FoundStale);
    }

    /// It has landed.
    pub(crate) fn land(&self, landed: Landed<V>) {
        self.reach(Stage::Landed(landed));
    }

    fn reach(&self, stage: Stage<V>) {
        let mut state = hold(&self.state);
        let before = std::mem::replace(&mut state.stage, stage);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(before);
        waiting.into_values().for_each(Waker::wake);
    }

    /// How it has landed, if it has.
    pub(crate) fn has_landed(&self) -> Option<Landed<V>> {
        hold(&self.state).landed()
    }

    /// Resolves when it has landed. Cancel-safe.
    pub(crate) async fn landed(&self, place: u64) -> Landed<V> {
        poll_fn(|cx| {
            let mut state = hold(&self.state);
            match state.landed() {
                Some(landed) => Poll::Ready(landed),
                None => state.wait(place, cx),
            }
        })
        .await
    }

    /// Resolves when it has landed, or has found something stale on the way. Cancel-safe.
    pub(crate) async fn stirred(&self, place: u64) {
        poll_fn(|cx| {
            let mut state = hold(&self.state);
            match state.stage {
                Stage::Flying => state.wait(place, cx),
                Stage::FoundStale | Stage::Landed(_) => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Resolves when no place is taken any more. For one who asks. Cancel-safe.
    pub(crate) async fn is_alone(&self) {
        poll_fn(|cx| {
            let mut state = hold(&self.state);
            if state.taken == 0 {
                return Poll::Ready(());
            }
            state.alone = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl<V> State<V> {
    fn landed(&self) -> Option<Landed<V>> {
        match &self.stage {
            Stage::Landed(landed) => Some(landed.clone()),
            Stage::Flying | Stage::FoundStale => None,
        }
    }

    fn wait<T>(&mut self, place: u64, cx: &Context<'_>) -> Poll<T> {
        let known = self.waiting.entry(place).or_insert_with(|| cx.waker().clone());
        known.clone_from(cx.waker());
        Poll::Pending
    }
}
