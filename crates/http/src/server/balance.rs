//! Which core a connection lives on.
//!
//! The kernel spreads connections over the cores' listeners by a hash, which evens out over many short connections and
//! not over a few long ones: of 64 kept connections 40 may meet one core and 24 the other, for as long as they last.
//! So a core that already has clearly more than the one with the fewest hands a new connection over to that one, once,
//! before a byte of it is read.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// An accepted connection on its way to its core.
pub(super) struct Arrival {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: OwnedSemaphorePermit,
    pub(super) seat: Seat,
}

/// A connection's part of its core's load, until it is dropped.
pub(super) struct Seat(Arc<AtomicUsize>);

/// The cores' loads, and the ways to them. Cloning shares them.
#[derive(Clone)]
pub(super) struct Balance {
    loads: Vec<Arc<AtomicUsize>>,
    // Bounded, though the queue is not: every arrival holds one of the places.
    ways: Vec<mpsc::UnboundedSender<Arrival>>,
}

impl Balance {
    /// Between so many cores; what arrives at each comes out of its receiver. A receiver ends when every core has
    /// dropped its handle, so that nobody who was sent is missed.
    pub(super) fn new(cores: usize) -> (Self, Vec<mpsc::UnboundedReceiver<Arrival>>) {
        let (ways, arrivals) = (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        (Self { loads: (0..cores).map(|_| Arc::default()).collect(), ways }, arrivals)
    }

    /// A seat on this core, whatever the others have.
    pub(super) fn seat(&self, core: usize) -> Seat {
        self.loads[core].fetch_add(1, Relaxed);
        Seat(self.loads[core].clone())
    }

    /// The core for a connection that `core` has accepted.
    pub(super) fn choose(&self, core: usize) -> usize {
        choose(self.loads.iter().map(|load| load.load(Relaxed)), core)
    }

    /// Sends it there; gives it back when that core has ended.
    pub(super) fn send(&self, core: usize, arrival: Arrival) -> Result<(), Arrival> {
        self.ways[core].send(arrival).map_err(|refused| refused.0)
    }
}

/// Handing over costs two system calls and a wake-up, so a small difference stays: an eighth of the least.
fn choose(loads: impl Iterator<Item = usize> + Clone, own: usize) -> usize {
    let here = loads.clone().nth(own).unwrap_or(0);
    match loads.enumerate().min_by_key(|(_, load)| *load) {
        Some((core, least)) if here > least + least / 8 => core,
        _ => own,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_stays_where_it_was_accepted_unless_that_core_has_clearly_more() {
        assert_eq!(choose([0, 0].into_iter(), 1), 1);
        assert_eq!(choose([1, 0].into_iter(), 0), 1);
        assert_eq!(choose([0, 1].into_iter(), 0), 0);
        assert_eq!(choose([36, 32].into_iter(), 0), 0);
        assert_eq!(choose([37, 32].into_iter(), 0), 1);
        assert_eq!(choose([9, 4, 7, 2].into_iter(), 2), 3);
        assert_eq!(choose([5].into_iter(), 0), 0);
    }

    #[test]
    fn however_connections_are_accepted_no_core_has_many_more_than_another() {
        let (balance, _arrivals) = Balance::new(2);
        let seats: Vec<Seat> = (0..64).map(|_| balance.seat(balance.choose(0))).collect();
        let loads: Vec<usize> = balance.loads.iter().map(|load| load.load(Relaxed)).collect();
        assert!(loads[0].abs_diff(loads[1]) <= 5, "{loads:?}");
        drop(seats);
        assert!(balance.loads.iter().all(|load| load.load(Relaxed) == 0));
    }
}
