//! A hit in the second tier: memory does not have the value and Redis does, beside redis-rs asking for the same bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_report::{Report, Target, median};
use burgeon_cache::{Cache, Caches, Config, Far, Load};
use burgeon_core::Ctx;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

/// More keys than memory holds, so that every read goes further.
const KEYS: u32 = 2_000;

/// A page's worth of a product, about 600 bytes.
#[derive(Clone, Serialize, Deserialize)]
struct Product {
    id: u32,
    name: String,
    description: String,
    price: i64,
    stock: i32,
}

fn product(id: u32) -> Product {
    let name = format!("Set of {id} retrospot tea cups");
    Product { id, description: name.repeat(18), name, price: 129_500, stock: 40 }
}

pub fn run(report: &mut Report, quick: bool) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (rounds, reads) = if quick { (7, 1_000) } else { (21, 4_000) };
    runtime.block_on(async { measure(report, rounds, reads).await });
}

async fn measure(report: &mut Report, rounds: usize, reads: u32) {
    let server = burgeon_services::Redis::start().await.expect("a Redis");
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let config = burgeon_redis::Config::at(server.url());
    let ours = burgeon_redis::Redis::connect(&config, &tasks, &meters).expect("a sound configuration");
    ours.connected().await;
    let raw = redis::Client::open(server.url())
        .expect("an address")
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let mut config = Config { ttl: Duration::from_secs(3_600), ..Config::default() };
    // A busy machine's pause must not open the breaker in the middle of a measurement.
    config.far.soft_timeout = Duration::from_secs(5);
    config.far.hard_timeout = Duration::from_secs(5);
    let caches = |tasks: &Tasks| {
        let far = Far::redis(&ours, "bench");
        let caches = Caches::new(&config, tasks, &meters).expect("a sound configuration").on_far(far);
        // Memory for one: the next read has always pushed it out.
        let plain: Cache<u32, Product> =
            caches.named("plain").far().entries(1).loader((), async |(), _: Load, id: u32| Ok(product(id)));
        let tagged: Cache<u32, Product> =
            caches.named("tagged").far().entries(1).loader((), async |(), load: Load, id: u32| {
                (0..5).for_each(|tag| load.tag(format_args!("tag:{tag}")));
                Ok(product(id))
            });
        (plain, tagged)
    };
    let ctx = Ctx::background();
    let mut connection = raw.clone();
    let filling = tasks.part();
    let (plain, tagged) = caches(&filling);
    for id in 0..KEYS {
        plain.get(&ctx, &id).await.expect("a value");
        tagged.get(&ctx, &id).await.expect("a value");
        let bytes = postcard::to_allocvec(&product(id)).expect("bytes");
        redis::cmd("SET")
            .arg(format!("raw:{id}"))
            .arg(bytes)
            .exec_async(&mut connection)
            .await
            .expect("a set");
    }
    // The last offers are on their way behind their callers: once their owner has stopped, all are there.
    filling.stop(Duration::from_secs(60)).await.expect("every value was offered");
    let (plain, tagged) = caches(&tasks);
    for in_flight in [1, 64] {
        let mut figures = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for round in 0..rounds {
            for turn in 0..4 {
                let which = (turn + round) % 4;
                let took = match which {
                    0 => spread(&tasks, in_flight, reads, through(&plain)).await,
                    1 => spread(&tasks, in_flight, reads, through(&tagged)).await,
                    2 => spread(&tasks, in_flight, reads, bytes_of(&raw)).await,
                    _ => spread(&tasks, in_flight, reads, value_of(&raw)).await,
                };
                figures[which].push(took);
            }
        }
        let [plain, tagged, get, decoded] = figures.map(|mut one| median(&mut one));
        let measure = |what: &str| format!("far hit{what}, {in_flight} in flight");
        report.value(&measure(""), "redis-rs GET", get, "us");
        report.value(&measure(""), "redis-rs GET and postcard", decoded, "us");
        report.ratio(&measure(""), plain, "us", "redis-rs GET", get, Some(Target::AtMost(1.15)));
        report.ratio(&measure(""), plain, "us", "redis-rs GET and postcard", decoded, None);
        report.ratio(&measure(", 5 tags"), tagged, "us", "redis-rs GET", get, None);
    }
    let before = commands(&mut connection).await;
    for id in 0..100 {
        tagged.get(&ctx, &id).await.expect("a value");
    }
    let asked = (commands(&mut connection).await - before) as f64 / 100.0;
    report.against("commands per far hit with 5 tags", asked, "", Target::AtMost(1.0));
    let loads = meters.counter("cache_loads_total", "", &[("cache", "plain"), ("outcome", "value")]).get();
    assert_eq!(loads, u64::from(KEYS), "a read was no hit");
}

/// Microseconds per read, so many at a time.
async fn spread<F, Fut>(tasks: &Tasks, in_flight: u32, reads: u32, read: F) -> f64
where
    F: Fn(u32) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let each = reads / in_flight;
    let began = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|worker| {
            let read = read.clone();
            tasks.spawn("worker", async move {
                for number in 0..each {
                    read((worker * each + number) % KEYS).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(each * in_flight)
}

fn through(cache: &Cache<u32, Product>) -> impl Fn(u32) -> Reading + Clone + Send + use<> {
    let (cache, ctx) = (cache.clone(), Arc::new(Ctx::background()));
    move |id| {
        let (cache, ctx) = (cache.clone(), ctx.clone());
        Box::pin(async move {
            let found = cache.get(&ctx, &id).await.expect("a value").expect("a product");
            assert_eq!(found.id, id);
        })
    }
}

fn bytes_of(raw: &MultiplexedConnection) -> impl Fn(u32) -> Reading + Clone + Send + use<> {
    let raw = raw.clone();
    move |id| {
        let mut raw = raw.clone();
        Box::pin(async move {
            let key = format!("raw:{id}");
            let bytes: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut raw).await.expect("an answer");
            assert!(!bytes.is_empty());
        })
    }
}

fn value_of(raw: &MultiplexedConnection) -> impl Fn(u32) -> Reading + Clone + Send + use<> {
    let raw = raw.clone();
    move |id| {
        let mut raw = raw.clone();
        Box::pin(async move {
            let key = format!("raw:{id}");
            let bytes: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut raw).await.expect("an answer");
            let found: Product = postcard::from_bytes(&bytes).expect("a product");
            assert_eq!(found.id, id);
        })
    }
}

type Reading = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Commands that the server has taken from clients, the script's own not counted.
async fn commands(connection: &mut MultiplexedConnection) -> u64 {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(connection).await.expect("the statistics");
    let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
    stats
        .lines()
        .filter(|line| {
            ["cmdstat_evalsha:", "cmdstat_eval:", "cmdstat_mget:"].iter().any(|name| line.starts_with(name))
        })
        .filter_map(calls)
        .sum()
}
