//! The pictures of the documentation.

use std::path::Path;

use burgeon_core::Criticality;

use crate::chart::{BLUE, GREEN, GREY, Line, ORANGE, Panel, Picture, RED};
use crate::policies::{ALL, OURS, named, spike_fifo};
use crate::sim::record::Second;
use crate::sim::{Policy, Record, Retries, Scenario, run};

pub fn draw(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (name, picture) in
        [("overload", overload()), ("collapse", collapse()), ("classes", classes()), ("limit", limit())]
    {
        std::fs::write(directory.join(name).with_extension("svg"), picture.svg())?;
    }
    Ok(())
}

fn overload() -> Picture {
    let scenario = Scenario::overload("2x", 1_600.0);
    let panels =
        ALL.iter().map(|policy| served(policy.name.to_owned(), &scenario, &mut *(policy.make)(), 1_600.0));
    Picture {
        title: "Twice the capacity for forty seconds",
        about: "Offered and served requests per second over time, for each policy. Capacity is 800 per second.",
        columns: 3,
        panels: panels.collect(),
    }
}

fn collapse() -> Picture {
    let spike = |title: &str, retries, policy: &mut dyn Policy| {
        served(title.to_owned(), &Scenario::spike(retries), policy, 1_600.0)
    };
    Picture {
        title: "A spike of ten seconds, and clients that try again",
        about: "Served requests per second: a queue in order of arrival never recovers from retries without a budget.",
        columns: 2,
        panels: vec![
            spike("FIFO, nobody retries", Retries::Never, &mut *spike_fifo()),
            spike("FIFO, two retries, no budget", Retries::Always, &mut *spike_fifo()),
            spike("FIFO, two retries in our budget", Retries::Budgeted, &mut *spike_fifo()),
            spike("burgeon, two retries, no budget", Retries::Always, &mut *named(OURS)),
        ],
    }
}

fn classes() -> Picture {
    let panel = |title: &str, scenario: &Scenario, policy: &mut dyn Policy| {
        let record = run(scenario, policy);
        let colors = [GREY, ORANGE, GREEN, BLUE];
        let line = |class: Criticality| Line {
            name: class.name(),
            color: colors[class as usize],
            values: values(&record, |second| {
                100.0 * f64::from(second.served[class as usize])
                    / f64::from(second.offered[class as usize].max(1))
            }),
        };
        Panel {
            title: title.to_owned(),
            most: 100.0,
            unit: "% served",
            lines: Criticality::ALL.map(line).into(),
        }
    };
    Picture {
        title: "Who is served when not all can be",
        about: "Share of each class that is served, over time.",
        columns: 2,
        panels: vec![
            panel("burgeon, 2x of all classes", &Scenario::classes(), &mut *named(OURS)),
            panel("FIFO, 2x of all classes", &Scenario::classes(), &mut *named("16 slots, FIFO 1,000")),
            panel("burgeon, the least come 12x", &Scenario::prefetch_storm(), &mut *named(OURS)),
            panel(
                "FIFO, the least come 12x",
                &Scenario::prefetch_storm(),
                &mut *named("16 slots, FIFO 1,000"),
            ),
        ],
    }
}

fn limit() -> Picture {
    let panel = |title: &str, scenario: &Scenario, policy: &str, most: f64| {
        let record = run(scenario, &mut *named(policy));
        let limit = values(&record, |second| f64::from(second.limit.unwrap_or(0)));
        Panel {
            title: title.to_owned(),
            most,
            unit: "limit",
            lines: vec![Line { name: "limit", color: BLUE, values: limit }],
        }
    };
    Picture {
        title: "The limit over time",
        about: "The concurrency limit in long overload, at half load, and when the machine or the work changes.",
        columns: 3,
        panels: vec![
            panel("ten minutes at 2x: burgeon", &Scenario::long(), OURS, 160.0),
            panel("ten minutes at 2x: Gradient2", &Scenario::long(), "Gradient2", 160.0),
            panel(
                "ten minutes at 2x: failsafe-go's guard",
                &Scenario::long(),
                "Gradient2, failsafe-go's guard",
                160.0,
            ),
            panel("half load: burgeon", &Scenario::half_load(), OURS, 1_000.0),
            panel("half load: Envoy's gradient", &Scenario::half_load(), "Envoy's gradient", 1_000.0),
            panel("half load: Vegas", &Scenario::half_load(), "Vegas", 1_000.0),
            panel("half of the machine, 20 to 60 s", &Scenario::halving(), OURS, 40.0),
            panel("the work doubles slowly", &Scenario::drift(), OURS, 40.0),
        ],
    }
}

fn served(title: String, scenario: &Scenario, policy: &mut dyn Policy, most: f64) -> Panel {
    let record = run(scenario, policy);
    let sum = |counts: &[u32; 4]| f64::from(counts.iter().sum::<u32>());
    Panel {
        title,
        most,
        unit: "req/s",
        lines: vec![
            Line { name: "offered", color: GREY, values: values(&record, |second| sum(&second.offered)) },
            Line {
                name: "attempts",
                color: RED,
                values: values(&record, |second| f64::from(second.attempts)),
            },
            Line { name: "served", color: BLUE, values: values(&record, |second| sum(&second.served)) },
        ],
    }
}

fn values(record: &Record, of: impl Fn(&Second) -> f64) -> Vec<f64> {
    record.seconds.iter().map(of).collect()
}
