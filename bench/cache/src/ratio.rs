//! How often a key that is asked for is there: every access of a real trace, a miss is put in.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use bench_report::{Report, Target};
use burgeon_cache::{Caches, Config};
use burgeon_core::Ctx;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use foyer_memory::{
    Cache as Foyer, CacheBuilder, EvictionConfig, LfuConfig, LruConfig, S3FifoConfig, SieveConfig,
};

use crate::trace;

const TRACES: [(&str, [usize; 4]); 2] =
    [("orm-busy", [1_000, 2_048, 4_096, 20_000]), ("web07", [512, 2_048, 4_096, 16_384])];

/// Asks for a key and puts it in if it is not there. Answers whether it was.
type Ask = Box<dyn FnMut(u32) -> bool>;

pub fn run(report: &mut Report, quick: bool) {
    let length = if quick { 1_000_000 } else { usize::MAX };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    for (name, capacities) in TRACES {
        let Some(trace) = trace::read(name, length) else { continue };
        for capacity in capacities {
            let cell = format!("{name} @ {capacity}");
            let percent = |hits: usize| 100.0 * hits as f64 / trace.len() as f64;
            let play = |mut ask: Ask| percent(trace.iter().filter(|key| ask(**key)).count());
            report.value(&format!("hits, {cell}"), "OPT", percent(opt(&trace, capacity)), "%");
            let lru = percent(lru(&trace, capacity));
            report.value(&format!("hits, {cell}"), "LRU", lru, "%");
            let mut best = ("none", 0.0);
            for (peer, ask) in peers(capacity) {
                let hits = play(ask);
                report.value(&format!("hits, {cell}"), peer, hits, "%");
                if hits > best.1 {
                    best = (peer, hits);
                }
            }
            let ours = play(ours(capacity));
            report.value(&format!("hits, {cell}"), "burgeon", ours, "%");
            report.against(&format!("points above LRU, {cell}"), ours - lru, "points", Target::AtLeast(-0.3));
            report.against(
                &format!("points above the best library ({}), {cell}", best.0),
                ours - best.1,
                "points",
                Target::AtLeast(-0.5),
            );
        }
    }
}

fn ours(capacity: usize) -> Ask {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    // So long that no trace outlasts it: what is measured is the policy.
    let config = Config { ttl: Duration::from_secs(86_400), ..Config::default() };
    let caches = Caches::new(&config, &tasks, &meters).expect("a sound configuration");
    let cache = caches.named::<u32, ()>("trace").entries(capacity as u64).without_loader();
    let ctx = Ctx::background();
    Box::new(move |key| {
        // The owner of tasks lives as long as the cache.
        let _ = &tasks;
        let hit = cache.peek(&key).is_some();
        if !hit {
            cache.set(&ctx, &key, ());
        }
        hit
    })
}

fn peers(capacity: usize) -> Vec<(&'static str, Ask)> {
    vec![
        ("moka", moka(capacity)),
        ("quick_cache", quick(capacity)),
        ("foyer lru", foyer(capacity, LruConfig::default())),
        ("foyer lfu", foyer(capacity, LfuConfig::default())),
        ("foyer s3fifo", foyer(capacity, S3FifoConfig::default())),
        ("foyer sieve", foyer(capacity, SieveConfig)),
    ]
}

fn moka(capacity: usize) -> Ask {
    let cache = moka::sync::Cache::<u32, ()>::new(capacity as u64);
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, ());
        }
        hit
    })
}

fn quick(capacity: usize) -> Ask {
    let cache = quick_cache::sync::Cache::<u32, ()>::new(capacity);
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, ());
        }
        hit
    })
}

/// One shard, which gives it its best ratio.
fn foyer(capacity: usize, rule: impl Into<EvictionConfig>) -> Ask {
    let cache: Foyer<u32, ()> = CacheBuilder::new(capacity).with_shards(1).with_eviction_config(rule).build();
    Box::new(move |key| {
        let hit = cache.get(&key).is_some();
        if !hit {
            cache.insert(key, ());
        }
        hit
    })
}

/// The plainest way: who was used longest ago leaves.
fn lru(trace: &[u32], capacity: usize) -> usize {
    let mut last: HashMap<u32, usize> = HashMap::new();
    let mut order: BTreeMap<usize, u32> = BTreeMap::new();
    let mut hits = 0;
    for (now, key) in trace.iter().enumerate() {
        match last.insert(*key, now) {
            Some(before) => {
                order.remove(&before);
                hits += 1;
            }
            None if last.len() > capacity => {
                if let Some((_, oldest)) = order.pop_first() {
                    last.remove(&oldest);
                }
            }
            None => {}
        }
        order.insert(now, *key);
    }
    hits
}

/// Belady's: who is asked for last leaves. Nobody can know that; it is the bound.
fn opt(trace: &[u32], capacity: usize) -> usize {
    let mut next = vec![usize::MAX; trace.len()];
    let mut seen: HashMap<u32, usize> = HashMap::new();
    for (now, key) in trace.iter().enumerate().rev() {
        if let Some(later) = seen.insert(*key, now) {
            next[now] = later;
        }
    }
    let mut there: HashMap<u32, usize> = HashMap::new();
    let mut latest: BinaryHeap<(usize, u32)> = BinaryHeap::new();
    let mut hits = 0;
    for (now, key) in trace.iter().enumerate() {
        if there.contains_key(key) {
            hits += 1;
        } else if there.len() >= capacity {
            while let Some((when, victim)) = latest.pop() {
                if there.get(&victim) == Some(&when) {
                    there.remove(&victim);
                    break;
                }
            }
        }
        there.insert(*key, next[now]);
        latest.push((next[now], *key));
    }
    hits
}
