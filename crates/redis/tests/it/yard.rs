//! A Redis of one's own behind a proxy, and a handle on it.

use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_meter::{Meters, Value as Reading};
use burgeon_redis::{Command, Config, Redis, State, Value};
use burgeon_runtime::Tasks;
use burgeon_services::{Proxy, Redis as Server};
use tokio::time::timeout;

/// Longer than anything here takes on the busiest machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Yard {
    pub(crate) redis: Redis,
    pub(crate) meters: Meters,
    pub(crate) tasks: Tasks,
    pub(crate) proxy: Proxy,
    pub(crate) server: Server,
}

impl Yard {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A handle through the proxy, configured otherwise, and connected.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = Server::start().await.unwrap();
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        let mut config =
            Config { response_timeout: Duration::from_secs(5), ..Config::at(proxy.url_for(&server.url())) };
        change(&mut config);
        let (redis, tasks, meters) = handle(&config);
        within(redis.connected()).await;
        Self { redis, meters, tasks, proxy, server }
    }

    pub(crate) async fn call(&self, command: Command) -> burgeon_core::Result<Value> {
        self.redis.call(&Ctx::background(), &command).await
    }

    pub(crate) async fn get(&self, key: &str) -> burgeon_core::Result<Value> {
        self.call(Command::read("GET").arg(key)).await
    }

    pub(crate) async fn set(&self, key: &str, value: &str) -> burgeon_core::Result<Value> {
        self.call(Command::write("SET").arg(key).arg(value)).await
    }

    /// What a counter stands at.
    pub(crate) fn count(&self, name: &str, outcome: &str) -> u64 {
        let is_it = |sample: &&burgeon_meter::Sample| {
            sample.name == name && sample.labels.iter().all(|(_, value)| value == outcome)
        };
        match self.meters.samples().iter().find(is_it).map(|sample| sample.value.clone()) {
            Some(Reading::Counter(count)) => count,
            other => panic!("{name}: {other:?}"),
        }
    }
}

pub(crate) fn handle(config: &Config) -> (Redis, Tasks, Meters) {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    (Redis::connect(config, &tasks, &meters).unwrap(), tasks, meters)
}

/// Until it has noticed that it is not connected.
pub(crate) async fn is_away(redis: &Redis) {
    within(async {
        while !matches!(redis.state(), State::Away { .. }) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("it took too long")
}
