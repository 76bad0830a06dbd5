//! Who is compared.

use burgeon_resilience::admission::Config;
use burgeon_resilience::limit;
use burgeon_resilience::line::{self, CoDel};

use crate::sim::peers::{Envoy, Fifo, Fixed, GoZero, Gradient2, Late, Limited, NoLimit, Vegas};
use crate::sim::{Policy, Stack};

/// A policy and how to make a fresh one.
pub struct Named {
    pub name: &'static str,
    pub make: fn() -> Box<dyn Policy>,
}

pub const OURS: &str = "burgeon";

pub const ALL: [Named; 14] = [
    Named { name: OURS, make: || Box::new(Stack::new(Config::default())) },
    Named { name: "burgeon, LIFO", make: lifo },
    Named { name: "burgeon, no probe", make: unprobed },
    Named { name: "burgeon, fixed 16", make: || Box::new(Stack::fixed(16)) },
    Named { name: "Gradient2", make: || Box::new(Limited::new(20, Gradient2::default())) },
    Named {
        name: "Gradient2, failsafe-go's guard",
        make: || Box::new(Limited::new(20, Gradient2::guarded())),
    },
    Named { name: "Vegas", make: || Box::new(Limited::new(20, Vegas::new(7))) },
    Named { name: "Envoy's gradient", make: || Box::new(Limited::new(20, Envoy::default())) },
    Named { name: "fixed 16", make: || Box::new(Fixed::new(16)) },
    Named { name: "fixed 64", make: || Box::new(Fixed::new(64)) },
    Named { name: "go-zero, CPU 90 %", make: || Box::new(GoZero::default()) },
    Named { name: "16 slots, FIFO 1,000", make: || Box::new(Fifo::new(16, 1_000, Late::Served)) },
    Named { name: "the same, drops expired", make: || Box::new(Fifo::new(16, 1_000, Late::Dropped)) },
    Named { name: "no limit", make: || Box::new(NoLimit) },
];

pub fn named(name: &str) -> Box<dyn Policy> {
    let policy = ALL.iter().find(|policy| policy.name == name);
    (policy.unwrap_or(&ALL[0]).make)()
}

pub fn spike_fifo() -> Box<dyn Policy> {
    Box::new(Fifo::new(16, 400, Late::Served))
}

fn lifo() -> Box<dyn Policy> {
    let codel = Some(CoDel { lifo: true, ..CoDel::default() });
    Box::new(Stack::new(Config {
        line: line::Config { codel, ..line::Config::default() },
        ..Config::default()
    }))
}

fn unprobed() -> Box<dyn Policy> {
    let limit = limit::Config { probe: false, ..limit::Config::default() };
    Box::new(Stack::new(Config { limit, ..Config::default() }))
}
