//! A listener with a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::Bus;
use super::delivery::{Delivery, Gap, Message};
use super::listeners::Listening;

/// A queue of what is said on one topic. Made by [`Bus::subscribe`].
pub struct Subscription {
    queue: mpsc::Receiver<Received>,
    overflowed: Arc<AtomicBool>,
    _listening: Listening,
}

/// What came out of a [`Subscription`].
#[derive(Debug, Clone)]
pub enum Received {
    /// Somebody said this.
    Message(Message),
    /// Something was said that was not heard.
    Gap(Gap),
}

impl Subscription {
    pub(super) fn open(bus: &Bus, topic: Arc<str>, capacity: usize) -> Self {
        let (sender, queue) = mpsc::channel(capacity.max(1));
        let overflowed = Arc::new(AtomicBool::new(false));
        let full = overflowed.clone();
        let listening = bus.listen(topic, move |delivery| {
            let received = match delivery {
                Delivery::Message(message) => Received::Message(message.clone()),
                Delivery::Gap(gap) => Received::Gap(gap),
            };
            if sender.try_send(received).is_err() {
                full.store(true, Ordering::Release);
            }
        });
        Self { queue, overflowed, _listening: listening }
    }

    /// The next thing heard. Cancel-safe. None once the bus is gone.
    pub async fn next(&mut self) -> Option<Received> {
        // What was lost was lost behind what is in the queue; told early it is told all the same.
        if self.overflowed.swap(false, Ordering::AcqRel) {
            return Some(Received::Gap(Gap::Overflowed));
        }
        self.queue.recv().await
    }
}
