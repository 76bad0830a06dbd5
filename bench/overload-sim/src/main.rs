//! Admission and its peers in one model: what is served when more comes than can be served, and afterwards.
//!
//! The model is `crates/resilience/tests/sim`, which the crate's tests use too. Nothing here depends on the machine: the same seed gives the
//! same numbers everywhere. The negative controls have targets as well: where they do not collapse, the model proves nothing.

mod chart;
mod pictures;
mod policies;
#[path = "../../../crates/resilience/tests/sim/mod.rs"]
mod sim;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use bench_report::{Report, Target};
use burgeon_core::Criticality;
use clap::Parser;

use crate::policies::{ALL, OURS, named, spike_fifo};
use crate::sim::{Policy, Record, Retries, Scenario, Work, run};

/// Goodput, response times, recovery and fairness under overload, for admission and its peers.
#[derive(Parser)]
struct Args {
    /// One seed instead of three.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Draw the pictures into this directory.
    #[arg(long)]
    svg: Option<PathBuf>,
}

const BEFORE: Range<usize> = 5..20;
const DURING: Range<usize> = 22..60;
const AFTER: Range<usize> = 65..100;
const CAPACITY: f64 = 800.0;
/// Who is in the longer parts of the quick form.
const QUICK: [&str; 4] = [OURS, "Vegas", "Envoy's gradient", "no limit"];

fn main() -> ExitCode {
    let args = Args::parse();
    let mut bench = Bench {
        report: Report::new("overload-sim", args.json),
        quick: args.quick,
        seeds: if args.quick { vec![1] } else { vec![1, 2, 3] },
    };
    bench.overload("2x", 1_600.0);
    bench.overload("10x", 8_000.0);
    bench.retries();
    bench.classes();
    bench.stability();
    let missed = bench.report.finish();
    if let Some(directory) = args.svg
        && let Err(error) = pictures::draw(&directory)
    {
        eprintln!("bench overload-sim: drawing into {}: {error}", directory.display());
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(missed > 0))
}

struct Bench {
    report: Report,
    quick: bool,
    seeds: Vec<u64>,
}

impl Bench {
    /// The mean over the seeds.
    fn mean(
        &self,
        scenario: &Scenario,
        make: impl Fn() -> Box<dyn Policy>,
        of: impl Fn(&Record) -> f64,
    ) -> f64 {
        let runs = self.seeds.iter().map(|seed| of(&run(&scenario.clone().seeded(*seed), &mut *make())));
        runs.sum::<f64>() / self.seeds.len() as f64
    }

    fn overload(&mut self, times: &str, rate: f64) {
        let scenario = Scenario::overload("overload", rate);
        for policy in
            ALL.iter().filter(|policy| !self.quick || rate < 5_000.0 || QUICK.contains(&policy.name))
        {
            let records: Vec<Record> = self
                .seeds
                .iter()
                .map(|seed| run(&scenario.clone().seeded(*seed), &mut *(policy.make)()))
                .collect();
            let mean =
                |of: &dyn Fn(&Record) -> f64| records.iter().map(of).sum::<f64>() / records.len() as f64;
            let name = policy.name;
            let value = |report: &mut Report, what: &str, value: f64, unit: &str| {
                report.value(&format!("{times}: {what}"), name, value, unit);
            };
            value(&mut self.report, "goodput", mean(&|record| record.goodput(DURING)), "req/s");
            value(
                &mut self.report,
                "p99 of the served",
                mean(&|record| record.percentile(99.0, DURING)),
                "ms",
            );
            value(&mut self.report, "goodput after", mean(&|record| record.goodput(AFTER)), "req/s of 400");
            value(&mut self.report, "refused at half load", mean(&|record| record.refusals(BEFORE)), "req/s");
            value(
                &mut self.report,
                "median time to a refusal",
                mean(&|record| record.told(50.0, DURING)),
                "ms",
            );
            let share = mean(&|record| record.goodput(DURING)) / CAPACITY;
            if name == OURS {
                let report = &mut self.report;
                report.against(&format!("{times}: goodput of capacity"), share, "", Target::AtLeast(0.95));
                let p99 = mean(&|record| record.percentile(99.0, DURING));
                report.against(&format!("{times}: p99 of the served"), p99, "ms", Target::AtMost(130.0));
                let recovers =
                    mean(&|record| record.recovers_after(60).map_or(f64::MAX, |seconds| seconds as f64));
                report.against(
                    &format!("{times}: all served again after"),
                    recovers,
                    "s",
                    Target::AtMost(1.99),
                );
                let late = mean(&|record| f64::from(record.started_for_nobody()));
                report.against(
                    &format!("{times}: started after the deadline"),
                    late,
                    "",
                    Target::AtMost(0.0),
                );
            } else if ["no limit", "16 slots, FIFO 1,000", "go-zero, CPU 90 %"].contains(&name) {
                let measure = format!("{times}: goodput of capacity, control: {name}");
                self.report.against(&measure, share, "", Target::AtMost(0.02));
            }
        }
    }

    fn retries(&mut self) {
        let after = |record: &Record| record.goodput(60..100) / 600.0;
        for (what, retries, target) in [
            ("FIFO, no retries", Retries::Never, Target::AtLeast(0.95)),
            ("FIFO, control: retries without budget", Retries::Always, Target::AtMost(0.0)),
            ("FIFO, retries in our budget", Retries::Budgeted, Target::AtLeast(0.95)),
        ] {
            let share = self.mean(&Scenario::spike(retries), spike_fifo, after);
            self.report.against(&format!("spike: served after it: {what}"), share, "", target);
        }
        let share = self.mean(&Scenario::spike(Retries::Always), || named(OURS), after);
        self.report.against(
            "spike: served after it: burgeon, retries without budget",
            share,
            "",
            Target::AtLeast(0.95),
        );
        let scenario = Scenario { retries: Retries::Budgeted, ..Scenario::overload("2x", 1_600.0) };
        let amplification = self.mean(&scenario, || named(OURS), |record| record.amplification(DURING));
        self.report.against(
            "2x: attempts per request, in our budget",
            amplification,
            "",
            Target::AtMost(1.11),
        );
    }

    fn classes(&mut self) {
        for scenario in [Scenario::classes(), Scenario::prefetch_storm()] {
            for class in Criticality::ALL {
                let of = |record: &Record| record.share_of_class(class as usize, DURING).min(1.0);
                let share = self.mean(&scenario, || named(OURS), of);
                let measure = format!("{}: served of {class}", scenario.name);
                match class {
                    Criticality::CriticalPlus => {
                        self.report.against(&measure, share, "", Target::AtLeast(0.994))
                    }
                    Criticality::Sheddable => self.report.against(&measure, share, "", Target::AtLeast(0.01)),
                    _ => self.report.value(&measure, OURS, share, ""),
                }
            }
            let share = self.mean(&scenario, || named(OURS), |record| record.goodput(DURING) / CAPACITY);
            let measure = format!("{}: goodput of capacity", scenario.name);
            self.report.against(&measure, share, "", Target::AtLeast(0.95));
        }
    }

    fn stability(&mut self) {
        let ours = || named(OURS);
        let at_least = Target::AtLeast(0.95);
        let bimodal = Scenario { work: Work::Bimodal, ..Scenario::overload("bimodal", 1_600.0) };
        let share = self.mean(&bimodal, ours, |record| record.share_of_capacity(DURING));
        self.report.against("work of two lengths: goodput of capacity", share, "", at_least);
        let share = self.mean(&Scenario::drift(), ours, |record| record.share_of_capacity(5..120));
        self.report.against("work that slowly doubles: goodput of capacity", share, "", at_least);
        let share = self.mean(&Scenario::halving(), ours, |record| record.share_of_capacity(22..60));
        self.report.against("half of the machine vanishes: goodput of what is left", share, "", at_least);
        for millis in [20.0, 80.0] {
            let deadline = std::time::Duration::from_secs(1);
            let dependency = Some((millis, millis));
            let scenario = Scenario { dependency, deadline, ..Scenario::overload("dependency", 1_600.0) };
            for policy in ALL.iter().filter(|policy| !self.quick || QUICK.contains(&policy.name)) {
                let share = self.mean(&scenario, policy.make, |record| record.goodput(DURING) / CAPACITY);
                let measure = format!("a dependency of {millis} ms: goodput of capacity");
                self.report.value(&measure, policy.name, share, "");
            }
        }
        let users: &[u64] = if self.quick { &[1, 10_000] } else { &[1, 10, 100, 1_000, 10_000] };
        for users in users.iter().copied() {
            let scenario = Scenario { users, ..Scenario::overload("users", 8_000.0) };
            let share = self.mean(&scenario, ours, |record| record.goodput(DURING) / CAPACITY);
            self.report.against(&format!("{users} users at 10x: goodput of capacity"), share, "", at_least);
        }
        let others =
            ["Gradient2", "Envoy's gradient", "Vegas", "burgeon, no probe", "Gradient2, failsafe-go's guard"];
        let others = &others[..if self.quick { 1 } else { others.len() }];
        for name in [OURS].iter().chain(others).copied() {
            let record = run(&Scenario::long(), &mut *named(name));
            let share = record.goodput(520..620) / CAPACITY;
            self.report.value("2x, tenth minute: goodput of capacity", name, share, "");
            if name == OURS {
                self.report.against("2x, tenth minute: goodput of capacity", share, "", at_least);
            }
            let record = run(&Scenario::half_load(), &mut *named(name));
            let limit = f64::from(record.greatest_limit(0..600));
            self.report.value("ten minutes at half load: greatest limit", name, limit, "");
            if name == OURS {
                self.report.against(
                    "ten minutes at half load: growth from 20",
                    limit - 20.0,
                    "",
                    Target::AtMost(2.0),
                );
            }
        }
    }
}
