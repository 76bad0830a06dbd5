//! How far one replica has come, as far as it is known, and the sleepers who wait for it to come further.
//!
//! A replica's replayed position only grows while it runs; a replica that was killed may come back *behind* where it
//! was. So what is known holds for connections of the life in which it was learnt, and this is where lives are told
//! apart:
//!
//! # Invariants
//! - What is known is true of every connection that has been given out: a connection that is born behind it takes it
//!   back ([`Replayed::born`]) before anybody may use that connection, and raises the epoch.
//! - What was asked before a connection was born is not believed after ([`Replayed::learn`]): it may be of the life
//!   before.
//! - Who relies on the known position looks at the epoch before it chooses and after it was answered
//!   ([`Replayed::epoch`]); if it was raised in between, the answer is thrown away.

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// What is known of one replica. Shared by whoever opens connections to it and whoever routes to it.
#[derive(Debug)]
pub(crate) struct Replayed(watch::Sender<Known>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Known {
    lsn: u64,
    epoch: u64,
    births: u64,
}

/// Taken before a replica is asked; says whether its answer may be believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    births: u64,
}

impl Default for Replayed {
    fn default() -> Self {
        Self(watch::Sender::new(Known::default()))
    }
}

impl Replayed {
    /// The position that has been replayed at least.
    pub(crate) fn known(&self) -> u64 {
        self.0.borrow().lsn
    }

    /// Raised whenever what was known turned out to be of an earlier life.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.borrow().epoch
    }

    /// A connection was opened, and the replica was here.
    pub(crate) fn born(&self, lsn: u64) {
        self.0.send_modify(|known| {
            known.births += 1;
            if lsn < known.lsn {
                known.lsn = lsn;
                known.epoch += 1;
            }
        });
    }

    /// It answered that it has not come as far as `lsn`. Where more was known, that was of a former life, which a pooler
    /// hid: nothing is known any more.
    pub(crate) fn denied(&self, lsn: u64) {
        self.0.send_if_modified(|known| {
            let is_news = known.lsn >= lsn;
            if is_news {
                known.lsn = 0;
                known.epoch += 1;
            }
            is_news
        });
    }

    pub(crate) fn asking(&self) -> Asking {
        Asking { births: self.0.borrow().births }
    }

    /// The replica answered that it is here. Wakes who waits for that.
    pub(crate) fn learn(&self, asking: Asking, lsn: u64) {
        self.0.send_if_modified(|known| {
            let news = known.births == asking.births && lsn > known.lsn;
            if news {
                known.lsn = lsn;
            }
            news
        });
    }

    /// Waits until it is known to have come this far. False when that took too long.
    pub(crate) async fn reaches(&self, lsn: u64, until: Instant) -> bool {
        let mut news = self.0.subscribe();
        matches!(timeout_at(until, news.wait_for(|known| known.lsn >= lsn)).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_only_grows_within_a_life() {
        let replayed = Replayed::default();
        replayed.born(50);
        replayed.learn(replayed.asking(), 100);
        replayed.learn(replayed.asking(), 70);
        assert_eq!((replayed.known(), replayed.epoch()), (100, 0));
        replayed.born(100);
        assert_eq!((replayed.known(), replayed.epoch()), (100, 0));
    }

    #[test]
    fn a_replica_that_comes_back_behind_is_not_believed_to_be_where_it_was() {
        let replayed = Replayed::default();
        replayed.learn(replayed.asking(), 100);
        replayed.born(60);
        assert_eq!((replayed.known(), replayed.epoch()), (60, 1));
    }

    #[test]
    fn an_answer_from_before_a_birth_says_nothing_about_the_life_after_it() {
        let replayed = Replayed::default();
        replayed.learn(replayed.asking(), 40);
        let before = replayed.asking();
        // Killed and restarted: it is ahead of what was known, and behind what the old life is about to answer.
        replayed.born(50);
        replayed.learn(before, 100);
        assert_eq!(replayed.known(), 40);
        replayed.learn(replayed.asking(), 55);
        assert_eq!(replayed.known(), 55);
    }

    #[test]
    fn what_it_denies_is_not_known_of_it_any_more() {
        let replayed = Replayed::default();
        replayed.learn(replayed.asking(), 100);
        replayed.denied(101);
        assert_eq!((replayed.known(), replayed.epoch()), (100, 0));
        replayed.denied(100);
        assert_eq!((replayed.known(), replayed.epoch()), (0, 1));
        replayed.learn(replayed.asking(), 60);
        assert_eq!(replayed.known(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_the_news_or_by_the_end_of_patience() {
        let replayed = Replayed::default();
        let until = Instant::now() + std::time::Duration::from_millis(50);
        let waits = replayed.reaches(10, until);
        let news = async { replayed.learn(replayed.asking(), 10) };
        assert!(tokio::join!(waits, news).0);
        assert!(!replayed.reaches(11, until).await);
        assert_eq!(Instant::now(), until);
    }
}
