//! The breaker's state, as a value with pure transitions, in one word.

use std::time::Duration;

use super::Config;
use crate::random;

/// Whole milliseconds since the clock's origin: fine enough for what takes seconds, and small enough for the word.
pub(super) type Millis = u64;

/// Which generation, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    /// Grows with every transition and every probe, modulo 2^18; a permit is worth something in its own generation only.
    pub(super) generation: u32,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All pass; until `ramp_end` only a growing share.
    Closed { trips: u8, ramp_end: Millis },
    /// None pass.
    Open { trips: u8, until: Millis },
    /// One passes at a time; `probe_until` is when the one that is out is given up, zero when none is.
    HalfOpen { trips: u8, successes: u8, probe_until: Millis },
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It passes, and the state stays.
    Pass,
    /// It passes as the one probe of this new state.
    Probe(Stage),
    /// It does not pass before then, as far as is known.
    Refuse(Option<Millis>),
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    Well,
    Ill,
    /// It says nothing, or was cancelled: another one may go.
    Unknown,
}

/// The numbers of a [`Config`] that transitions need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    open: Millis,
    open_cap: Millis,
    probe_timeout: Millis,
    ramp: Millis,
    successes: u8,
}

const TIME_BITS: u32 = 37;
const GENERATION_BITS: u32 = 18;
/// The latest moment a state can name: four years after the origin. Later moments are this one.
const END: Millis = (1 << TIME_BITS) - 1;
/// Enough doublings for every cap.
const MOST_TRIPS: u8 = 15;
/// How much of the traffic passes at the beginning of the ramp.
const RAMP_FLOOR: f64 = 0.1;

impl Rules {
    pub(super) fn of(config: &Config) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(END);
        Self {
            open: millis(config.open),
            open_cap: millis(config.open_cap),
            probe_timeout: millis(config.probe_timeout).max(1),
            ramp: millis(config.ramp),
            successes: config.successes.clamp(1, 7) as u8,
        }
    }

    /// How long to stay open after so many trips in a row: doubling, capped, 25 % more or less.
    fn open_for(&self, trips: u8, random: u64) -> Millis {
        let bound = self.open.saturating_mul(1 << trips).min(self.open_cap);
        (bound as f64 * random::between(random, 0.75, 1.25)) as Millis
    }
}

impl Stage {
    pub(super) const START: Stage = Stage { generation: 0, phase: Phase::Closed { trips: 0, ramp_end: 0 } };

    /// A call asks to pass.
    pub(super) fn admit(self, now: Millis, random: u64, rules: &Rules) -> Admission {
        let now = now.min(END);
        match self.phase {
            Phase::Closed { ramp_end, .. } if ramp_end <= now => Admission::Pass,
            Phase::Closed { ramp_end, .. } => {
                let share = 1.0 - (ramp_end - now) as f64 / rules.ramp.max(1) as f64;
                if random::unit(random) < share.max(RAMP_FLOOR) {
                    Admission::Pass
                } else {
                    Admission::Refuse(None)
                }
            }
            Phase::Open { until, .. } if now < until => Admission::Refuse(Some(until)),
            Phase::Open { trips, .. } => Admission::Probe(self.probing(trips, 0, now, rules)),
            Phase::HalfOpen { probe_until, .. } if now < probe_until => Admission::Refuse(None),
            Phase::HalfOpen { trips, successes, .. } => {
                Admission::Probe(self.probing(trips, successes, now, rules))
            }
        }
    }

    fn probing(self, trips: u8, successes: u8, now: Millis, rules: &Rules) -> Stage {
        let probe_until = now.saturating_add(rules.probe_timeout).min(END);
        self.next(Phase::HalfOpen { trips, successes, probe_until })
    }

    /// The window of a closed state says: enough. `None` when this state is not closed.
    pub(super) fn trip(self, now: Millis, random: u64, rules: &Rules) -> Option<Stage> {
        let Phase::Closed { trips, ramp_end } = self.phase else { return None };
        // Who stayed well through the ramp starts over.
        let trips = if now < ramp_end { trips } else { 0 };
        Some(self.opened(trips, now, random, rules))
    }

    /// The probe of a half-open state came back. `None` when nothing changes.
    pub(super) fn probed(self, how: Probed, now: Millis, random: u64, rules: &Rules) -> Option<Stage> {
        let Phase::HalfOpen { trips, successes, .. } = self.phase else { return None };
        let again = trips.saturating_add(1).min(MOST_TRIPS);
        Some(match how {
            Probed::Unknown => Stage { phase: Phase::HalfOpen { trips, successes, probe_until: 0 }, ..self },
            Probed::Ill => self.opened(again, now, random, rules),
            Probed::Well if successes + 1 < rules.successes => {
                Stage { phase: Phase::HalfOpen { trips, successes: successes + 1, probe_until: 0 }, ..self }
            }
            Probed::Well => {
                let ramp_end = now.saturating_add(rules.ramp).min(END);
                self.next(Phase::Closed { trips: again, ramp_end })
            }
        })
    }

    fn opened(self, trips: u8, now: Millis, random: u64, rules: &Rules) -> Stage {
        let until = now.saturating_add(rules.open_for(trips, random)).min(END);
        self.next(Phase::Open { trips, until })
    }

    fn next(self, phase: Phase) -> Stage {
        Stage { generation: (self.generation + 1) & ((1 << GENERATION_BITS) - 1), phase }
    }

    /// `| generation, 18 | phase, 2 | trips, 4 | successes, 3 | moment, 37 |`
    pub(super) fn pack(self) -> u64 {
        let (phase, trips, successes, moment) = match self.phase {
            Phase::Closed { trips, ramp_end } => (0, trips, 0, ramp_end),
            Phase::Open { trips, until } => (1, trips, 0, until),
            Phase::HalfOpen { trips, successes, probe_until } => (2, trips, successes, probe_until),
        };
        (u64::from(self.generation) << 46)
            | phase << 44
            | u64::from(trips & 0xf) << 40
            | u64::from(successes & 7) << 37
            | (moment & END)
    }

    pub(super) fn unpack(word: u64) -> Stage {
        let trips = (word >> 40) as u8 & 0xf;
        let moment = word & END;
        let phase = match word >> 44 & 3 {
            0 => Phase::Closed { trips, ramp_end: moment },
            1 => Phase::Open { trips, until: moment },
            _ => Phase::HalfOpen { trips, successes: (word >> 37) as u8 & 7, probe_until: moment },
        };
        Stage { generation: (word >> 46) as u32, phase }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn phases() -> impl Strategy<Value = Phase> {
        prop_oneof![
            (0u8..16, 0..=END).prop_map(|(trips, ramp_end)| Phase::Closed { trips, ramp_end }),
            (0u8..16, 0..=END).prop_map(|(trips, until)| Phase::Open { trips, until }),
            (0u8..16, 0u8..8, 0..=END).prop_map(|(trips, successes, probe_until)| Phase::HalfOpen {
                trips,
                successes,
                probe_until
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_state_survives_its_word(generation in 0u32..1 << GENERATION_BITS, phase in phases()) {
            let state = Stage { generation, phase };
            prop_assert_eq!(Stage::unpack(state.pack()), state);
        }

        #[test]
        fn an_open_time_is_within_a_quarter_of_its_bound(trips in 0u8..16, random in any::<u64>()) {
            let rules = Rules::of(&Config::default());
            let bound = (5_000u64 << trips).min(60_000);
            let open = rules.open_for(trips, random);
            prop_assert!(open >= bound * 3 / 4 && open <= bound * 5 / 4, "{} after {} trips", open, trips);
        }
    }

    /// Every state that can be reached in small steps of time by any event, each looked at once.
    #[test]
    fn whatever_happens_a_way_leads_back_to_closed_and_probes_go_one_at_a_time() {
        let config = Config {
            open: Duration::from_millis(2),
            open_cap: Duration::from_millis(4),
            probe_timeout: Duration::from_millis(2),
            ramp: Duration::from_millis(2),
            successes: 2,
            ..Config::default()
        };
        let rules = Rules::of(&config);
        // Generations only tell states apart in time; without them the space is small.
        let anonymous = |state: Stage| Stage { generation: 0, ..state }.pack();
        let mut seen = BTreeSet::new();
        let mut todo = vec![(Stage::START, 0u64)];
        while let Some((state, now)) = todo.pop() {
            if now > 40 || !seen.insert((anonymous(state), now)) {
                continue;
            }
            todo.push((state, now + 1));
            for random in [0, u64::MAX] {
                let admission = state.admit(now, random, &rules);
                if let Admission::Probe(next) = admission {
                    assert_ne!(next.generation, state.generation, "a probe has a generation of its own");
                    assert!(matches!(next.phase, Phase::HalfOpen { .. }));
                    assert!(
                        matches!(next.admit(now, random, &rules), Admission::Refuse(_)),
                        "a second probe at once: {next:?}"
                    );
                    todo.push((next, now));
                }
                todo.extend(state.trip(now, random, &rules).map(|next| (next, now)));
                for how in [Probed::Well, Probed::Ill, Probed::Unknown] {
                    let next = state.probed(how, now, random, &rules);
                    assert_eq!(next.is_some(), matches!(state.phase, Phase::HalfOpen { .. }));
                    todo.extend(next.map(|next| (next, now)));
                }
            }
            // From here, with time and good probes, closed again and all pass: nothing pins the state.
            let (mut state, mut now) = (state, now);
            for _ in 0..20 {
                if let Admission::Probe(probing) = state.admit(now, 0, &rules) {
                    state = probing.probed(Probed::Well, now, 0, &rules).unwrap_or(probing);
                }
                now += 1;
            }
            assert_eq!(state.admit(now, u64::MAX, &rules), Admission::Pass, "{state:?} at {now} is stuck");
        }
        assert!(seen.len() > 1_000, "only {} states were looked at", seen.len());
    }

    #[test]
    fn trips_in_the_ramp_open_for_longer_and_a_quiet_ramp_forgives() {
        let rules = Rules::of(&Config::default());
        let half = 1 << 63;
        let opened = Stage::START.trip(1_000, half, &rules).unwrap();
        let Phase::Open { until, .. } = opened.phase else { panic!("{opened:?}") };
        assert_eq!(until, 6_000);
        let mut state = opened;
        let now = 7_000;
        for _ in 0..3 {
            let Admission::Probe(probing) = state.admit(now, 0, &rules) else { panic!("{state:?}") };
            state = probing.probed(Probed::Well, now, half, &rules).unwrap();
        }
        assert_eq!(state.phase, Phase::Closed { trips: 1, ramp_end: 17_000 });
        let soon = state.trip(8_000, half, &rules).unwrap();
        assert_eq!(soon.phase, Phase::Open { trips: 1, until: 18_000 });
        let late = state.trip(20_000, half, &rules).unwrap();
        assert_eq!(late.phase, Phase::Open { trips: 0, until: 25_000 });
    }
}
