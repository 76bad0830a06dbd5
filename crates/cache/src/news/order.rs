//! The order in which the other nodes hear of what was done here: the order in which it was done.
//!
//! What one cache keeps is often made of what another keeps. A neighbour that heard of the page before it heard of the product would
//! make the page anew of the old product, and nobody would tell it a second time. Changes that go through the second tier are told
//! when it has them, so whatever was changed after them here waits with them.
//!
//! # Invariants
//! - Words go out in the order of their turns, each once.
//! - A turn that is dropped holds up nobody. Nobody waits longer than the second tier may take (`far.hard_timeout`).
//! - A word goes out even if whoever said it no longer waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::sync::{Mutex, hold};

/// Tells the other nodes of one change.
type Word = Box<dyn FnOnce() + Send>;

/// The turns of one node. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Order(Arc<Mutex<Line>>);

#[derive(Default)]
struct Line {
    /// The number of the first of them.
    first: u64,
    turns: VecDeque<State>,
}

enum State {
    /// What it is to say is not known yet.
    Open,
    Word(Word),
    GivenUp,
}

/// A place behind all that were taken before it.
pub(crate) struct Turn {
    order: Order,
    number: u64,
}

/// Resolves when a word has gone out.
pub(crate) type Out = oneshot::Receiver<()>;

impl Order {
    /// For a change that was made now, and is told later.
    pub(crate) fn turn(&self) -> Turn {
        let mut line = hold(&self.0);
        line.turns.push_back(State::Open);
        Turn { order: self.clone(), number: line.first + line.turns.len() as u64 - 1 }
    }

    /// Says it when all others have: at once, if nobody is before.
    pub(crate) fn say(&self, word: impl FnOnce() + Send + 'static) -> Option<Out> {
        let mut line = hold(&self.0);
        if line.turns.is_empty() {
            word();
            return None;
        }
        let (said, out) = oneshot::channel();
        line.turns.push_back(announced(word, said));
        Some(out)
    }
}

impl Turn {
    /// Says it when all before have.
    pub(crate) fn say(self, word: impl FnOnce() + Send + 'static) -> Out {
        let (said, out) = oneshot::channel();
        hold(&self.order.0).settle(self.number, announced(word, said));
        out
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        hold(&self.order.0).settle(self.number, State::GivenUp);
    }
}

impl Line {
    /// The turn is no longer open; nothing, if it was not. All that nobody is before of any more go out, under the lock: two who
    /// do it at once must not change their order.
    fn settle(&mut self, number: u64, state: State) {
        let turn =
            number.checked_sub(self.first).and_then(|place| self.turns.get_mut(usize::try_from(place).ok()?));
        if let Some(turn) = turn.filter(|turn| matches!(turn, State::Open)) {
            *turn = state;
        }
        while let Some(State::Word(_) | State::GivenUp) = self.turns.front() {
            self.first += 1;
            if let Some(State::Word(word)) = self.turns.pop_front() {
                word();
            }
        }
    }
}

fn announced(word: impl FnOnce() + Send + 'static, said: oneshot::Sender<()>) -> State {
    State::Word(Box::new(move || {
        word();
        // Nobody may wait for it.
        let _ = said.send(());
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> (Arc<Mutex<Vec<u32>>>, impl Fn(u32) -> Word) {
        let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
        let words = heard.clone();
        (heard, move |word| {
            let words = words.clone();
            Box::new(move || hold(&words).push(word))
        })
    }

    #[test]
    fn with_nobody_before_a_word_goes_out_at_once() {
        let (heard, word) = heard();
        assert!(Order::default().say(word(1)).is_none());
        assert_eq!(*hold(&heard), [1]);
    }

    #[test]
    fn words_go_out_in_the_order_of_their_turns() {
        let (heard, word) = heard();
        let order = Order::default();
        let (first, second) = (order.turn(), order.turn());
        let mut third = order.say(word(3)).expect("it has to wait");
        let mut out = second.say(word(2));
        assert!(hold(&heard).is_empty() && out.try_recv().is_err() && third.try_recv().is_err());
        drop(first.say(word(1)));
        assert_eq!(*hold(&heard), [1, 2, 3]);
        assert!(out.try_recv().is_ok() && third.try_recv().is_ok());
        assert!(order.say(word(4)).is_none());
        assert_eq!(*hold(&heard), [1, 2, 3, 4]);
    }

    #[test]
    fn a_turn_that_is_given_up_holds_up_nobody() {
        let (heard, word) = heard();
        let order = Order::default();
        let (first, second, third) = (order.turn(), order.turn(), order.turn());
        drop((second, third.say(word(3)), order.say(word(4))));
        assert!(hold(&heard).is_empty());
        drop(first);
        assert_eq!(*hold(&heard), [3, 4]);
    }
}
