//! Who holds the connections: what a pool that ran dry must be able to say.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::units::format_duration;
use tokio::time::Instant;

use crate::stmt::Place;

/// One use of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    /// The statement, or `transaction`.
    pub(super) name: &'static str,
    /// Where in the program.
    pub(super) place: Place,
    /// Since when.
    pub(super) since: Instant,
    /// The statement that a transaction ran last.
    pub(super) last: Option<&'static str>,
    /// The program has let go, and the connection is being cleaned.
    pub(super) leaving: bool,
}

/// A seat per connection.
pub(super) struct Holders(Mutex<Vec<Option<Holder>>>);

impl Holders {
    pub(super) fn new(seats: usize) -> Self {
        Self(Mutex::new(vec![None; seats]))
    }

    /// Takes a seat and answers its number. There are as many seats as permits, so one is free.
    pub(super) fn sit(&self, name: &'static str, place: Place) -> usize {
        let holder = Holder { name, place, since: Instant::now(), last: None, leaving: false };
        let mut seats = self.seats();
        match seats.iter().position(Option::is_none) {
            Some(free) => {
                seats[free] = Some(holder);
                free
            }
            None => {
                seats.push(Some(holder));
                seats.len() - 1
            }
        }
    }

    pub(super) fn change(&self, seat: usize, change: impl FnOnce(&mut Holder)) {
        if let Some(Some(holder)) = self.seats().get_mut(seat) {
            change(holder);
        }
    }

    pub(super) fn stand(&self, seat: usize) {
        if let Some(holder) = self.seats().get_mut(seat) {
            *holder = None;
        }
    }

    /// Who is there, the longest first.
    pub(super) fn longest(&self) -> Vec<Holder> {
        let mut holders: Vec<_> = self.seats().iter().flatten().copied().collect();
        holders.sort_by_key(|holder| holder.since);
        holders
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Option<Holder>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Duration::from_millis(self.since.elapsed().as_millis() as u64);
        write!(f, "`{}` at {} for {}", self.name, self.place, format_duration(held))?;
        if let Some(last) = self.last {
            write!(f, " (last `{last}`)")?;
        }
        if self.leaving {
            f.write_str(" (ending)")?;
        }
        Ok(())
    }
}
