use burgeon_core::Position;
use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

/// A fleet under judgement, a second a round.
struct Court {
    judge: Judge,
    now: Instant,
    floor: u32,
}

fn primary(timeline: u32, lsn: u64) -> Result<Sample, Silence> {
    Ok(Sample {
        system: 7,
        in_recovery: false,
        timeline,
        lsn,
        began: None,
        life: 1,
        remembers: true,
        beginnings: Vec::new(),
    })
}

fn promoted(timeline: u32, began: u64, lsn: u64) -> Result<Sample, Silence> {
    primary(timeline, lsn).map(|sample| Sample { began: Some(began), ..sample })
}

fn replica(timeline: u32, lsn: u64) -> Result<Sample, Silence> {
    primary(timeline, lsn).map(|sample| Sample { in_recovery: true, ..sample })
}

fn broken() -> Result<Sample, Silence> {
    Err(Silence::Broken("nothing answers".to_owned()))
}

fn late() -> Result<Sample, Silence> {
    Err(Silence::Late)
}

impl Court {
    fn of(servers: usize) -> Self {
        let limits = Limits { lag_bytes: 8 * MIB, lag: Duration::from_secs(10) };
        Self { judge: Judge::new(servers, limits), now: Instant::now(), floor: 0 }
    }

    fn round(&mut self, answers: impl Into<Answers>) -> Vec<Change> {
        self.now += Duration::from_secs(1);
        self.judge.judge(self.now, &answers.into(), self.floor)
    }

    fn rotation(&self) -> Vec<bool> {
        self.judge.view().servers.iter().map(|server| server.in_rotation).collect()
    }

    fn primary(&self) -> Option<usize> {
        self.judge.view().primary
    }

    fn why(&self, server: usize) -> &str {
        self.judge.view().servers[server].why.as_deref().unwrap_or("")
    }
}

#[tokio::test]
async fn roles_are_found_whatever_the_order_of_the_configuration() {
    let mut court = Court::of(3);
    let changes = court.round([replica(1, 90), primary(1, 100), replica(1, 100)]);
    assert_eq!(changes, [Change::Primary { server: 1, timeline: 1 }]);
    assert_eq!(court.rotation(), [true, false, true]);
    assert_eq!(court.judge.view().servers[0].lag_bytes, 10);
}

#[tokio::test]
async fn a_lagging_replica_goes_after_three_rounds_and_comes_back_after_three() {
    let mut court = Court::of(2);
    court.round([primary(1, 9 * MIB), replica(1, 9 * MIB)]);
    for _ in 0..2 {
        court.round([primary(1, 90 * MIB), replica(1, 9 * MIB)]);
        assert_eq!(court.rotation(), [false, true]);
    }
    let changes = court.round([primary(1, 90 * MIB), replica(1, 9 * MIB)]);
    assert!(matches!(&changes[..], [Change::Out { server: 1, .. }]), "{changes:?}");
    assert!(court.why(1).contains("lags by"), "{}", court.why(1));
    for _ in 0..2 {
        court.round([primary(1, 90 * MIB), replica(1, 90 * MIB)]);
        assert_eq!(court.rotation(), [false, false]);
    }
    let changes = court.round([primary(1, 90 * MIB), replica(1, 90 * MIB)]);
    assert_eq!(changes, [Change::Back { server: 1 }]);
    assert_eq!(court.judge.view().servers[1].back_since, Some(court.now), "it begins gently");
}

#[tokio::test]
async fn an_idle_primary_ejects_nobody_in_an_hour() {
    let mut court = Court::of(2);
    for _ in 0..3_600 {
        court.round([primary(1, 500), replica(1, 500)]);
        assert_eq!(court.rotation(), [false, true]);
    }
}

#[tokio::test]
async fn a_replica_delayed_by_time_lags_by_time_though_the_bytes_are_few() {
    let mut court = Court::of(2);
    let mut out_at = None;
    for second in 1..60 {
        court.round([primary(1, second * 100), replica(1, second.saturating_sub(20) * 100)]);
        if !court.rotation()[1] && out_at.is_none() {
            out_at = Some(second);
        }
    }
    assert_eq!(out_at, Some(14), "more than 10 s, seen three times");
}

#[tokio::test]
async fn lag_never_puts_out_more_than_half() {
    let mut court = Court::of(5);
    let all = |lsn: u64| [primary(1, lsn), replica(1, 1), replica(1, 2), replica(1, 3), replica(1, 4)];
    court.round(all(10));
    for _ in 0..30 {
        court.round(all(100 * MIB));
    }
    assert_eq!(court.rotation().iter().filter(|is_in| **is_in).count(), 2);
    // But who is hopeless goes, whatever the others do.
    for _ in 0..1_800 {
        court.round(all(100 * MIB));
    }
    assert_eq!(court.rotation(), [false; 5]);
}

#[tokio::test]
async fn late_once_is_not_yet_gone_and_broken_is() {
    let mut court = Court::of(2);
    court.round([primary(1, 10), replica(1, 10)]);
    court.round([late(), late()]);
    assert_eq!((court.primary(), court.rotation()), (Some(0), vec![false, true]));
    court.round([late(), late()]);
    assert_eq!((court.primary(), court.rotation()), (None, vec![false, false]));

    let mut court = Court::of(2);
    court.round([primary(1, 10), replica(1, 10)]);
    let changes = court.round([broken(), replica(1, 10)]);
    assert_eq!(changes, [Change::NoPrimary]);
    assert_eq!(court.rotation(), [false, true], "reads go on");
}

#[tokio::test]
async fn the_highest_timeline_wins_and_the_old_primary_stays_out() {
    let mut court = Court::of(3);
    court.round([primary(1, 100), replica(1, 100), replica(1, 100)]);
    // Cut off, not dead: both say that they take writes.
    let changes = court.round([primary(1, 120), promoted(2, 100, 110), replica(1, 100)]);
    assert_eq!(
        changes,
        [
            Change::Promoted { timeline: 2, began: Some(100) },
            Change::Primary { server: 1, timeline: 2 },
            Change::Out { server: 2, why: court.why(2).to_owned() },
        ]
    );
    assert!(court.why(0).contains("left behind"), "{}", court.why(0));
    assert!(court.why(2).contains("timeline 2"), "{}", court.why(2));
    // The successor goes: its predecessor is not taken instead.
    court.round([primary(1, 130), broken(), replica(1, 100)]);
    assert_eq!(court.primary(), None);
    let why = court.judge.view().no_primary(&["a".into(), "b".into(), "c".into()]);
    assert!(why.contains("timeline 2") && why.contains("a: it is a primary of timeline 1"), "{why}");
    // The other replica follows the successor, and is proven to.
    court.round([primary(1, 130), promoted(2, 100, 140), replica(2, 135)]);
    assert_eq!((court.primary(), court.rotation()), (Some(1), vec![false, false, true]));
}

#[tokio::test]
async fn with_only_an_older_timeline_in_sight_nobody_is_written_to() {
    let mut court = Court::of(2);
    court.floor = 3;
    court.round([primary(2, 100), replica(2, 100)]);
    assert_eq!((court.primary(), court.rotation()), (None, vec![false, false]));
    court.round([primary(2, 100), promoted(3, 90, 95)]);
    assert_eq!(court.primary(), Some(1));
}

#[tokio::test]
async fn two_primaries_of_one_timeline_are_no_primary_but_the_present_one_stays() {
    let mut court = Court::of(2);
    let changes = court.round([primary(1, 100), primary(1, 100)]);
    assert_eq!(changes, [Change::Split { servers: vec![0, 1] }]);
    assert_eq!(court.primary(), None);

    let mut court = Court::of(2);
    court.round([primary(1, 100), replica(1, 100)]);
    court.round([primary(1, 100), primary(1, 100)]);
    assert_eq!(court.primary(), Some(0));
    assert!(court.why(1).contains("second primary"), "{}", court.why(1));
}

#[tokio::test]
async fn a_stranger_is_never_asked() {
    let mut court = Court::of(2);
    court.round([primary(1, 100), replica(1, 100).map(|sample| Sample { system: 8, ..sample })]);
    assert_eq!(court.rotation(), [false, false]);
    assert!(court.judge.view().servers[1].is_stranger);
}

#[tokio::test]
async fn what_a_position_needs_depends_on_where_the_timelines_part() {
    let mut court = Court::of(2);
    court.round([primary(1, 100), replica(1, 100)]);
    court.round([broken(), promoted(2, 100, 120)]);
    let view = court.judge.view();
    let needs = |timeline, lsn| view.required(Position { timeline, lsn });
    assert_eq!(view.required(Position::START), Some(0));
    assert_eq!(needs(2, 115), Some(115));
    assert_eq!(needs(1, 100), Some(100), "common to both timelines");
    assert_eq!(needs(1, 101), None, "written to the old primary after the timelines had parted");
    assert_eq!(needs(3, 1), None, "of a timeline that nobody here knows");
    // What the database remembers counts as what was seen.
    let mut court = Court::of(1);
    let remembers = |sample: Sample| Sample { beginnings: vec![(4, 50), (3, 40)], ..sample };
    court.round([primary(4, 100).map(remembers)]);
    let needs = |lsn| court.judge.view().required(Position { timeline: 2, lsn });
    assert_eq!((needs(40), needs(45)), (Some(40), None));
}

fn answers() -> impl Strategy<Value = Answers> {
    let one = (0..6_u8, 1..4_u32, 0..200_u64, 0..2_i64).prop_map(|(sort, timeline, lsn, life)| match sort {
        0 => broken(),
        1 => late(),
        2 | 3 => replica(timeline, lsn * MIB),
        4 => promoted(timeline, lsn, lsn * MIB),
        _ => primary(timeline, lsn * MIB).map(|sample| Sample { life, ..sample }),
    });
    prop::collection::vec(one, 3)
}

proptest! {
    #[test]
    fn whatever_servers_say_writes_go_to_the_highest_timeline_or_nowhere(
        rounds in prop::collection::vec((answers(), 0..4_u32), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut court = runtime.block_on(async { Court::of(3) });
        let mut highest = 0;
        for (answers, floor) in rounds {
            court.floor = floor;
            let told = answers.iter().flatten().map(|sample| sample.timeline).max().unwrap_or(0);
            highest = highest.max(told).max(floor);
            court.round(answers.clone());
            let view = court.judge.view();
            prop_assert_eq!(view.timeline, highest);
            if let Some(primary) = view.primary {
                match &answers[primary] {
                    Ok(sample) => prop_assert!(!sample.in_recovery && sample.timeline == highest),
                    Err(silence) => prop_assert_eq!(silence, &Silence::Late),
                }
            }
            for (server, answer) in view.servers.iter().zip(&answers) {
                if let (true, Ok(sample)) = (server.in_rotation, answer) {
                    prop_assert!(sample.in_recovery && sample.timeline >= highest);
                }
            }
        }
    }
}
