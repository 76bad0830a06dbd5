//! What a hit costs: the whole `get` of a `String` key, as an application calls it, in turns with the others.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use bench_report::{Report, Target, median};
use burgeon_cache::{Cache, Caches, Config, Load};
use burgeon_core::Ctx;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;

use crate::allocations;

/// All of them fit; what is measured is hits alone.
const ENTRIES: usize = 10_000;

/// Workers, and the order of reading: as the keys were put in, or any other.
const MEASURES: [&str; 4] = [
    "hit, 1 worker",
    "hit, 8 workers, all together",
    "hit, 1 worker, scattered",
    "hit, 8 workers, all together, scattered",
];

/// Gets every key once, in the given order, and answers how many were there.
type Pass = Arc<dyn Fn(&[String]) -> usize + Send + Sync>;

struct Peer {
    name: &'static str,
    pass: Pass,
    /// With one worker and with eight, in both orders.
    took: [Vec<f64>; 4],
}

pub fn run(report: &mut Report, quick: bool) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let (rounds, passes) = if quick { (5, 20) } else { (15, 60) };
    let (arrivals, keys) = (Arc::new(arrivals().collect::<Vec<_>>()), Arc::new(scattered()));
    let mut peers: Vec<Peer> = [
        ("burgeon", ours()),
        ("quick_cache", quick_cache()),
        ("moka", moka()),
        ("foyer", foyer()),
        ("amalgam try_get", amalgam_try_get(&runtime)),
        ("amalgam get_or_set", amalgam_get_or_set(&runtime)),
    ]
    .into_iter()
    .map(|(name, pass)| Peer { name, pass, took: Default::default() })
    .collect();
    for peer in &peers {
        assert_eq!((peer.pass)(&keys), ENTRIES, "{} is not filled", peer.name);
    }
    for round in 0..rounds {
        let count = peers.len();
        for turn in 0..count {
            let peer = &mut peers[(turn + round) % count];
            let [one, eight, one_scattered, eight_scattered] = &mut peer.took;
            one.push(nanos(&peer.pass, &arrivals, 1, passes));
            eight.push(nanos(&peer.pass, &arrivals, 8, passes / 4));
            one_scattered.push(nanos(&peer.pass, &keys, 1, passes));
            eight_scattered.push(nanos(&peer.pass, &keys, 8, passes / 4));
        }
    }
    let medians: Vec<(&str, [f64; 4])> = peers
        .iter_mut()
        .map(|peer| (peer.name, std::array::from_fn(|which| median(&mut peer.took[which]))))
        .collect();
    for (which, what) in MEASURES.into_iter().enumerate() {
        let (_, ours) = medians[0];
        medians.iter().for_each(|(name, took)| report.value(what, name, took[which], "ns"));
        for (name, theirs) in &medians[1..] {
            let target = match *name {
                "quick_cache" => Some(Target::AtMost(2.0)),
                name if name.starts_with("amalgam") => Some(Target::AtMost(1.0)),
                _ => None,
            };
            report.ratio(what, ours[which], "ns", name, theirs[which], target);
        }
    }
    let (_, [one, eight, ..]) = medians[0];
    report.against("scaling from 1 to 8 workers", one / eight, "times", Target::AtLeast(1.0));
    let before = allocations::so_far();
    (peers[0].pass)(&keys);
    let allocated = (allocations::so_far() - before) as f64 / ENTRIES as f64;
    // A pass enters the runtime once, which is not a hit's.
    report.against("allocations per hit", (allocated * 100.0).floor() / 100.0, "", Target::AtMost(0.0));
}

/// In the order in which they are put in.
fn arrivals() -> impl Iterator<Item = String> {
    (0..ENTRIES).map(|number| format!("product:{number}"))
}

/// In an order of no meaning, the same for all. Asked for as they were put in, they lie in memory in the order in which they
/// are read, which no traffic is so kind as to do.
fn scattered() -> Vec<String> {
    let mut keys: Vec<String> = arrivals().collect();
    keys.sort_by_key(|key| {
        key.bytes().fold(7u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    });
    keys
}

/// Nanoseconds of wall time per get, over all workers.
fn nanos(pass: &Pass, keys: &Arc<Vec<String>>, workers: usize, passes: usize) -> f64 {
    let start = Arc::new(Barrier::new(workers + 1));
    let threads: Vec<_> = (0..workers)
        .map(|worker| {
            let (pass, keys, start) = (pass.clone(), keys.clone(), start.clone());
            std::thread::spawn(move || {
                // Each begins elsewhere, so that they do not walk in step.
                let mut own = keys.as_ref().clone();
                own.rotate_left(worker * ENTRIES / workers);
                pass(&own);
                start.wait();
                for _ in 0..passes {
                    assert_eq!(pass(&own), ENTRIES);
                }
            })
        })
        .collect();
    start.wait();
    let began = Instant::now();
    for thread in threads {
        thread.join().expect("a worker");
    }
    began.elapsed().as_nanos() as f64 / (workers * passes * ENTRIES) as f64
}

/// Drives a pass of an asynchronous cache on the thread that asks.
fn driven<F: Future<Output = usize>>(future: F) -> usize {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn ours() -> Pass {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let config =
        Config { ttl: Duration::from_secs(86_400), entries: 2 * ENTRIES as u64, ..Config::default() };
    let caches = Caches::new(&config, &tasks, &meters).expect("a sound configuration");
    let cache: Cache<String, String> =
        caches.named("speed").loader((), async |(), _: Load, key: String| Ok(format!("the value of {key}")));
    let ctx = Ctx::background();
    for key in arrivals() {
        cache.set(&ctx, &key, format!("the value of {key}"));
    }
    Arc::new(move |keys| {
        // The owner of tasks lives as long as the cache.
        let _ = &tasks;
        driven(async {
            let mut hits = 0;
            for key in keys {
                hits += usize::from(cache.get(&ctx, key.as_str()).await.is_ok_and(|value| value.is_some()));
            }
            hits
        })
    })
}

fn quick_cache() -> Pass {
    let cache = quick_cache::sync::Cache::<String, Arc<str>>::new(2 * ENTRIES);
    arrivals().for_each(|key| cache.insert(key.clone(), key.into()));
    Arc::new(move |keys| keys.iter().filter(|key| cache.get(key.as_str()).is_some()).count())
}

fn moka() -> Pass {
    let cache = moka::sync::Cache::<String, Arc<str>>::new(2 * ENTRIES as u64);
    arrivals().for_each(|key| cache.insert(key.clone(), key.into()));
    cache.run_pending_tasks();
    Arc::new(move |keys| keys.iter().filter(|key| cache.get(key.as_str()).is_some()).count())
}

fn foyer() -> Pass {
    let cache: foyer_memory::Cache<String, Arc<str>> = foyer_memory::CacheBuilder::new(2 * ENTRIES)
        .with_eviction_config(foyer_memory::S3FifoConfig::default())
        .build();
    for key in arrivals() {
        cache.insert(key.clone(), key.into());
    }
    Arc::new(move |keys| keys.iter().filter(|key| cache.get(key.as_str()).is_some()).count())
}

fn amalgam(runtime: &tokio::runtime::Runtime) -> amalgam::Cache<Arc<str>> {
    let cache: amalgam::Cache<Arc<str>> = runtime.block_on(async {
        let cache = amalgam::Cache::builder().try_build().expect("a cache");
        for key in arrivals() {
            let value: Arc<str> = key.as_str().into();
            let long = Duration::from_secs(86_400);
            cache
                .set(key.as_str(), value)
                .options(|options| options.with_duration(long))
                .await
                .expect("a set");
        }
        cache
    });
    cache
}

fn amalgam_try_get(runtime: &tokio::runtime::Runtime) -> Pass {
    let cache = amalgam(runtime);
    Arc::new(move |keys| {
        driven(async {
            let mut hits = 0;
            for key in keys {
                hits += usize::from(cache.try_get(key.as_str()).await.is_ok_and(|value| value.is_some()));
            }
            hits
        })
    })
}

fn amalgam_get_or_set(runtime: &tokio::runtime::Runtime) -> Pass {
    let cache = amalgam(runtime);
    Arc::new(move |keys| {
        driven(async {
            let mut hits = 0;
            for key in keys {
                let value = cache
                    .get_or_set(key.as_str(), |_| async {
                        Ok::<Arc<str>, std::convert::Infallible>("missed".into())
                    })
                    .await;
                hits += usize::from(value.is_ok_and(|value| &*value != "missed"));
            }
            hits
        })
    })
}
