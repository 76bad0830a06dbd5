//! Who is the primary, and which replicas are asked: decided from what all servers answered in one round.
//!
//! What this is: a state machine, `judge(round) -> changes`, without clock or socket. Roles are found, not configured.
//!
//! ```text
//!              silent twice, broken once, lagging three times
//!   In rotation ───────────────────────────────────────────────> Out
//!        ^                                                         │
//!        └──────────────── three good rounds ──────────────────────┘   (then with growing weight)
//! ```
//!
//! # Invariants
//! - Statements that write go to a primary of the highest timeline that anybody has ever told of, or to none.
//! - A server becomes the primary only by a round in which every server was asked after the former was lost. So a
//!   former primary that comes back is not taken for the present one while its successor can be reached.
//! - A replica counts only when it is proven to be on that timeline: what was replayed on another says nothing.
//! - Lag alone puts out at most half of the replicas (rounded up), the worst first, and anyone who lags by more than
//!   [`HOPELESS`]: what they all cannot answer falls on the primary.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::history::History;

/// So many rounds in a row put a lagging replica out, and so many good ones bring any back.
const ROUNDS: u8 = 3;
/// So many rounds without an answer put a server out.
const SILENT: u8 = 2;
/// A replica that lags by more is put out whatever the others do: positions older than that are not remembered by clients.
pub(super) const HOPELESS: Duration = Duration::from_secs(30 * 60);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// Which database cluster it belongs to (`system_identifier`): all of one fleet have one.
    pub(super) system: u64,
    /// A standby.
    pub(super) in_recovery: bool,
    /// A primary's timeline; of a standby, one that it has certainly replayed part of.
    pub(super) timeline: u32,
    /// Where a primary's log ends; what a standby has replayed.
    pub(super) lsn: u64,
    /// Of a primary that was promoted since it was started: where its timeline begins.
    pub(super) began: Option<u64>,
    /// Which life of the server this is: when it was started, in microseconds of its own clock.
    pub(super) life: i64,
    /// The database has a table to remember beginnings of timelines in.
    pub(super) remembers: bool,
    /// What it remembers.
    pub(super) beginnings: Vec<(u32, u64)>,
}

/// Why a server did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// It cannot be reached, or broke the connection off: certain.
    Broken(String),
    /// It said nothing in time: it may be busy, or frozen, or cut off.
    Late,
    /// It answered, and is none of ours.
    Stranger,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::Broken(why) => f.write_str(why),
            Silence::Late => f.write_str("it does not answer"),
            Silence::Stranger => f.write_str(
                "it belongs to another database cluster (its system identifier differs), so it is no replica of \
                 the others",
            ),
        }
    }
}

/// What all servers answered, in their order.
pub(super) type Answers = Vec<Result<Sample, Silence>>;

/// An answer of a server that belongs to the fleet.
type Answer<'a> = Result<&'a Sample, Silence>;

/// What the judge goes by.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) lag_bytes: u64,
    pub(super) lag: Duration,
}

/// The state.
#[derive(Debug)]
pub(super) struct Judge {
    limits: Limits,
    system: Option<u64>,
    view: View,
    records: Vec<Record>,
    history: History,
    /// The timeline of the last primary that was found.
    announced: u32,
}

/// What routing goes by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct View {
    /// Who takes writes.
    pub(super) primary: Option<usize>,
    /// The life in which it was confirmed.
    pub(super) life: i64,
    /// The highest timeline known.
    pub(super) timeline: u32,
    /// Where timelines began, as far as it is known, by timeline.
    pub(super) beginnings: Vec<(u32, u64)>,
    /// All servers, in their order.
    pub(super) servers: Vec<Server>,
}

/// One server at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Server {
    /// It may be asked what a replica can answer.
    pub(super) in_rotation: bool,
    /// Since when, if it was out before.
    pub(super) back_since: Option<Instant>,
    /// A standby; `None` before it has ever answered.
    pub(super) is_replica: Option<bool>,
    pub(super) timeline: u32,
    pub(super) lag_bytes: u64,
    pub(super) lag: Duration,
    /// Of another database cluster.
    pub(super) is_stranger: bool,
    /// Why it is not in rotation, or not the primary.
    pub(super) why: Option<String>,
}

/// What is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// There is a primary, where there was none or another.
    Primary { server: usize, timeline: u32 },
    /// Nobody takes writes.
    NoPrimary,
    /// A later timeline begins here.
    Promoted { timeline: u32, began: Option<u64> },
    /// The replica is asked no more.
    Out { server: usize, why: String },
    /// It is asked again.
    Back { server: usize },
    /// Two servers take writes on one timeline; neither is trusted.
    Split { servers: Vec<usize> },
}

#[derive(Debug, Clone, Default)]
struct Record {
    /// Rounds in a row: without an answer, with too much lag, good ones while it is out.
    silent: u8,
    lagging: u8,
    good: u8,
    is_out: bool,
    /// It has been in rotation before, so that the next time it begins gently.
    has_been_in: bool,
}

impl Judge {
    pub(super) fn new(servers: usize, limits: Limits) -> Self {
        let view = View { servers: vec![Server::default(); servers], ..View::default() };
        let records = vec![Record { is_out: true, good: ROUNDS, ..Record::default() }; servers];
        Self { limits, system: None, view, records, history: History::default(), announced: 0 }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Which database cluster it is, once one has answered.
    pub(super) fn system(&self) -> Option<u64> {
        self.system
    }

    /// Judges a round, begun at `now`. `floor` is the highest timeline that was told of from elsewhere.
    pub(super) fn judge(&mut self, now: Instant, answers: &Answers, floor: u32) -> Vec<Change> {
        let mut changes = Vec::new();
        let answers: Vec<_> = answers.iter().map(|answer| self.of_this_system(answer)).collect();
        self.note(&answers);
        self.choose_primary(now, &answers, floor, &mut changes);
        self.rotate(now, &answers, &mut changes);
        changes
    }

    /// The first to answer says which cluster it is; who is of another is a stranger.
    fn of_this_system<'a>(&mut self, answer: &'a Result<Sample, Silence>) -> Answer<'a> {
        match answer {
            Ok(sample) if *self.system.get_or_insert(sample.system) == sample.system => Ok(sample),
            Ok(_) => Err(Silence::Stranger),
            Err(silence) => Err(silence.clone()),
        }
    }

    fn note(&mut self, answers: &[Answer<'_>]) {
        for (index, answer) in answers.iter().enumerate() {
            let (server, record) = (&mut self.view.servers[index], &mut self.records[index]);
            match answer {
                Ok(sample) => {
                    record.silent = 0;
                    server.why = None;
                    server.is_replica = Some(sample.in_recovery);
                    server.timeline = sample.timeline;
                    for beginning in &sample.beginnings {
                        if !self.view.beginnings.contains(beginning) {
                            self.view.beginnings.push(*beginning);
                        }
                    }
                }
                Err(silence) => {
                    record.silent = match silence {
                        Silence::Broken(_) | Silence::Stranger => SILENT,
                        Silence::Late => record.silent.saturating_add(1).min(SILENT),
                    };
                    server.is_stranger = *silence == Silence::Stranger;
                    server.why = Some(silence.to_string());
                }
            }
        }
    }

    fn choose_primary(
        &mut self,
        now: Instant,
        answers: &[Answer<'_>],
        floor: u32,
        changes: &mut Vec<Change>,
    ) {
        let view = &mut self.view;
        let told = answers.iter().flatten().map(|sample| sample.timeline).max().unwrap_or(0);
        let highest = view.timeline.max(floor).max(told);
        let candidates: Vec<usize> = (0..answers.len())
            .filter(|index| {
                matches!(&answers[*index], Ok(sample) if !sample.in_recovery && sample.timeline == highest)
            })
            .collect();
        let present = view.primary.filter(|_| view.timeline == highest);
        let chosen = match (present, candidates.as_slice()) {
            (Some(present), _) if candidates.contains(&present) => Some(present),
            // Late once is not yet gone; but whoever can be reached is no longer trusted with a former life.
            (Some(present), []) if answers[present].is_err() && self.records[present].silent < SILENT => {
                Some(present)
            }
            (_, [only]) => Some(*only),
            (_, []) => None,
            (_, several) => {
                changes.push(Change::Split { servers: several.to_vec() });
                None
            }
        };
        if highest > view.timeline {
            self.history.forget();
            view.timeline = highest;
        }
        if let Some(Ok(sample)) = chosen.map(|chosen| &answers[chosen]) {
            let is_known = view.beginnings.iter().any(|(timeline, _)| *timeline == highest);
            if let Some(began) = sample.began.filter(|_| !is_known) {
                view.beginnings.push((highest, began));
            }
            if highest > self.announced {
                if self.announced > 0 {
                    changes.push(Change::Promoted { timeline: highest, began: sample.began });
                }
                self.announced = highest;
            }
        }
        if chosen != view.primary {
            changes.push(match chosen {
                Some(server) => Change::Primary { server, timeline: highest },
                None => Change::NoPrimary,
            });
            view.primary = chosen;
        }
        if let Some(Ok(sample)) = chosen.map(|chosen| &answers[chosen]) {
            view.life = sample.life;
            self.history.seen(now, sample.lsn);
        }
        for (index, answer) in answers.iter().enumerate() {
            if let Ok(sample) = answer
                && !sample.in_recovery
            {
                view.servers[index].why = match (view.primary == Some(index), sample.timeline < highest) {
                    (true, _) => None,
                    (false, true) => Some(format!(
                        "it is a primary of timeline {}, left behind by the promotion to timeline {highest}; \
                         nothing is written to it",
                        sample.timeline
                    )),
                    (false, false) => {
                        Some("it is a second primary of the same timeline; it is not used".to_owned())
                    }
                };
            }
        }
    }

    fn rotate(&mut self, now: Instant, answers: &[Answer<'_>], changes: &mut Vec<Change>) {
        let end = self.view.primary.and_then(|primary| Some(answers[primary].as_ref().ok()?.lsn));
        for (index, answer) in answers.iter().enumerate() {
            let server = &mut self.view.servers[index];
            if let (Ok(sample), Some(end)) = (answer, end)
                && sample.in_recovery
            {
                server.lag_bytes = end.saturating_sub(sample.lsn);
                server.lag = self.history.behind(sample.lsn, now);
            }
        }
        // The worst first, because not all may go.
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.view.servers[*index].lag));
        for index in order {
            let was = self.view.servers[index].in_rotation;
            let why = self.verdict(index, answers);
            let server = &mut self.view.servers[index];
            server.in_rotation = why.is_none();
            match (was, why) {
                (true, Some(why)) => {
                    server.back_since = None;
                    // One that was promoted has gone for a good reason, which is told already.
                    if !matches!(&answers[index], Ok(sample) if !sample.in_recovery) {
                        changes.push(Change::Out { server: index, why: why.clone() });
                        server.why = Some(why);
                    }
                }
                (false, None) => {
                    let record = &mut self.records[index];
                    server.back_since = record.has_been_in.then_some(now);
                    server.why = None;
                    if record.has_been_in {
                        changes.push(Change::Back { server: index });
                    }
                    record.has_been_in = true;
                }
                (false, Some(why)) if server.is_replica != Some(false) => server.why = Some(why),
                (false, Some(_)) | (true, None) => {}
            }
        }
    }

    /// Why this server is not to be asked what a replica can answer; `None` when it is.
    fn verdict(&mut self, index: usize, answers: &[Answer<'_>]) -> Option<String> {
        let replicas = self.view.servers.iter().filter(|server| server.is_replica == Some(true)).count();
        let others_out = (0..answers.len())
            .filter(|other| {
                *other != index && self.records[*other].lagging >= ROUNDS && self.records[*other].is_out
            })
            .count();
        let server = &self.view.servers[index];
        let record = &mut self.records[index];
        let sample = match &answers[index] {
            Ok(sample) => *sample,
            Err(silence) => {
                if record.silent >= SILENT || !server.in_rotation {
                    record.is_out = true;
                    record.good = 0;
                    return Some(silence.to_string());
                }
                return None;
            }
        };
        if !sample.in_recovery {
            *record =
                Record { is_out: true, good: ROUNDS, has_been_in: record.has_been_in, ..Record::default() };
            return Some("it is no standby".to_owned());
        }
        let lags = server.lag_bytes > self.limits.lag_bytes || server.lag > self.limits.lag;
        record.lagging = if lags { record.lagging.saturating_add(1).min(ROUNDS) } else { 0 };
        if lags {
            record.good = 0;
            let may_go = server.lag > HOPELESS || others_out < replicas.div_ceil(2);
            record.is_out |= record.lagging >= ROUNDS && may_go;
        } else if record.is_out {
            record.good = record.good.saturating_add(1);
            record.is_out = record.good < ROUNDS;
        }
        if record.is_out {
            return Some(if lags {
                format!("it lags by {} bytes, {:.1} s", server.lag_bytes, server.lag.as_secs_f64())
            } else {
                format!("it is back; good rounds so far: {} of {ROUNDS}", record.good)
            });
        }
        (sample.timeline < self.view.timeline).then(|| {
            format!(
                "it is not known to follow timeline {}: so far it has been seen on {}",
                self.view.timeline, sample.timeline
            )
        })
    }
}

impl View {
    /// What a replica on the present timeline must have replayed for one who has seen `wanted`; `None` when only the
    /// primary can tell.
    pub(super) fn required(&self, wanted: burgeon_core::Position) -> Option<u64> {
        if wanted == burgeon_core::Position::START || wanted.timeline == self.timeline {
            return Some(wanted.lsn);
        }
        // Of a later timeline nothing is known here; of an earlier one, what came before the next began is common.
        let next = self.beginnings.iter().filter(|(timeline, _)| *timeline > wanted.timeline).min();
        next.filter(|(timeline, began)| *timeline <= self.timeline && wanted.lsn <= *began)
            .map(|_| wanted.lsn)
    }

    /// Why there is no primary, server by server.
    pub(super) fn no_primary(&self, names: &[String]) -> String {
        let whys: Vec<_> = self
            .servers
            .iter()
            .zip(names)
            .map(|(server, name)| match (server.is_replica, &server.why) {
                (Some(true), None) => format!("{name} is a standby"),
                (Some(true), Some(why)) => format!("{name} is a standby, and {why}"),
                (_, Some(why)) => format!("{name}: {why}"),
                (_, None) => format!("{name} has not answered yet"),
            })
            .collect();
        match self.timeline {
            0 => format!("no server takes writes: {}", whys.join("; ")),
            timeline => format!("no server takes writes on timeline {timeline}: {}", whys.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests;
