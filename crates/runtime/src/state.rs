//! The state of the whole process, as a pure function.
//!
//! ```text
//!              AllReady             Asked, Failed           AllStopped
//!  Starting ─────────────▶ Ready ─────────────────▶ Draining ─────────▶ Stopped
//!      │                                                ▲
//!      └────────────────────────────────────────────────┘
//!                        Asked, Failed
//! ```
//!
//! There is no way back: a process that began to drain never becomes ready again.

/// Where the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not every service has said that it is ready.
    Starting,
    /// All services are.
    Ready,
    /// Nothing new is wanted; what runs comes to its end.
    Draining,
    /// Every service has ended.
    Stopped,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The last service said that it is ready.
    AllReady,
    /// Somebody outside wants it to stop.
    Asked,
    /// A service failed to start, or died.
    Failed,
    /// The last service ended.
    AllStopped,
}

/// Where the process is after `event`. An event that means nothing in a phase changes nothing.
pub(crate) fn next(phase: Phase, event: Event) -> Phase {
    match (phase, event) {
        (Phase::Starting, Event::AllReady) => Phase::Ready,
        (Phase::Starting | Phase::Ready, Event::Asked | Event::Failed) => Phase::Draining,
        (Phase::Draining, Event::AllStopped) => Phase::Stopped,
        (unchanged, _) => unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 4] = [Event::AllReady, Event::Asked, Event::Failed, Event::AllStopped];

    #[test]
    fn no_sequence_of_events_leads_from_draining_back_to_ready() {
        // Exhaustive: every sequence of six events.
        for number in 0..EVENTS.len().pow(6) {
            let mut phase = Phase::Starting;
            let mut drained = false;
            for step in 0..6 {
                phase = next(phase, EVENTS[number / EVENTS.len().pow(step) % EVENTS.len()]);
                drained |= matches!(phase, Phase::Draining | Phase::Stopped);
                assert!(!(drained && matches!(phase, Phase::Starting | Phase::Ready)), "sequence {number}");
            }
        }
    }

    #[test]
    fn the_walk_of_an_ordinary_life() {
        let walk = [Event::AllReady, Event::Asked, Event::AllStopped].into_iter().scan(
            Phase::Starting,
            |phase, event| {
                *phase = next(*phase, event);
                Some(*phase)
            },
        );
        assert_eq!(walk.collect::<Vec<_>>(), [Phase::Ready, Phase::Draining, Phase::Stopped]);
    }
}
