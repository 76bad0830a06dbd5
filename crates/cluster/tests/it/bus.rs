//! The bus over each of its links.

mod conformance;
mod secured;
mod versions;
mod weather;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_cluster::bus::{Config, Hub, Link, Listening};
use burgeon_cluster::{Bus, Delivery, Gap, Stamp};
use burgeon_db::Db;
use burgeon_meter::Meters;
use burgeon_redis::Redis;
use burgeon_runtime::Tasks;
use burgeon_services::{Nats, Postgres, Proxy, Server};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than anything here takes on the busiest machine.
const SOON: Duration = Duration::from_secs(20);

/// One node: its bus, and what must live as long.
struct Node {
    bus: Bus,
    /// The bus's own, so that a node can vanish: its database would hold on to them.
    tasks: Tasks,
    meters: Meters,
}

/// Where nodes meet, and how to cut them off.
enum Meeting {
    InProcess(Hub),
    Postgres { server: Option<Postgres>, proxy: Proxy, url: String },
    Redis { server: burgeon_services::Redis, proxy: Proxy },
    Nats { server: Nats, proxy: Proxy },
}

impl Meeting {
    async fn all() -> Vec<Meeting> {
        vec![
            Meeting::InProcess(Hub::new()),
            Meeting::postgres(None).await,
            Meeting::redis().await,
            Meeting::nats().await,
        ]
    }

    /// Those with a line and a broker, which is nobody else's.
    async fn of_brokers() -> Vec<Meeting> {
        let own = Postgres::start().await.unwrap();
        vec![Meeting::postgres(Some(own)).await, Meeting::redis().await, Meeting::nats().await]
    }

    async fn postgres(own: Option<Postgres>) -> Meeting {
        let server = match &own {
            Some(own) => own.databases(),
            None => Postgres::shared().await.unwrap(),
        };
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        let url = server.create_database().await.unwrap();
        Meeting::Postgres { server: own, proxy, url }
    }

    async fn redis() -> Meeting {
        let server = burgeon_services::Redis::start().await.unwrap();
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        Meeting::Redis { server, proxy }
    }

    async fn nats() -> Meeting {
        let server = Nats::start().await.unwrap();
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        Meeting::Nats { server, proxy }
    }

    /// A line of one's own to where they meet.
    async fn another_line(&self) -> Proxy {
        let port = match self {
            Meeting::InProcess(_) => panic!("there is no line"),
            Meeting::Postgres { server: Some(server), .. } => server.port(),
            Meeting::Postgres { server: None, .. } => Postgres::shared().await.unwrap().port(),
            Meeting::Redis { server, .. } => server.port(),
            Meeting::Nats { server, .. } => server.port(),
        };
        Proxy::start(("127.0.0.1", port)).await.unwrap()
    }

    /// Over this line, or the common one.
    async fn link(&self, own: Option<&Proxy>, tasks: &Tasks, meters: &Meters) -> Link {
        let name = "burgeon_test".to_owned();
        match self {
            Meeting::InProcess(hub) => Link::InProcess(hub.clone()),
            Meeting::Postgres { url, proxy, .. } => {
                let config = burgeon_db::Config::at(own.unwrap_or(proxy).url_for(url));
                let meters = Meters::new();
                let db = Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap();
                Link::Postgres { db, channel: name }
            }
            Meeting::Redis { server, proxy } => {
                let config = burgeon_redis::Config::at(own.unwrap_or(proxy).url_for(&server.url()));
                Link::Redis { redis: Redis::connect(&config, tasks, meters).unwrap(), channel: name }
            }
            Meeting::Nats { server, proxy } => {
                let config = burgeon_cluster::nats::Config::at(own.unwrap_or(proxy).url_for(&server.url()));
                Link::Nats { config, subject: name }
            }
        }
    }

    async fn node(&self) -> Node {
        self.node_over(None).await
    }

    /// One with a line of its own.
    async fn node_over(&self, own: Option<&Proxy>) -> Node {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let config = Config { heartbeat: Duration::from_millis(50), ..Config::default() };
        let link = self.link(own, &tasks, &meters).await;
        let bus = Bus::join(link, config, &tasks, &meters).unwrap();
        Node { bus, tasks, meters }
    }

    /// Nodes that all hear each other.
    async fn nodes(&self, count: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(self.node().await);
        }
        for node in &nodes {
            within(node.bus.whole()).await;
            within(node.bus.until(|bus| bus.heard().len() >= count - 1)).await;
        }
        nodes
    }

    fn proxy(&self) -> Option<&Proxy> {
        match self {
            Meeting::InProcess(_) => None,
            Meeting::Postgres { proxy, .. } | Meeting::Redis { proxy, .. } | Meeting::Nats { proxy, .. } => {
                Some(proxy)
            }
        }
    }

    /// The broker, where it is the test's own.
    fn server(&self) -> Option<&Server> {
        match self {
            Meeting::InProcess(_) => None,
            Meeting::Postgres { server, .. } => server.as_deref(),
            Meeting::Redis { server, .. } => Some(server),
            Meeting::Nats { server, .. } => Some(server),
        }
    }

    fn cut(&self) {
        match self {
            Meeting::InProcess(hub) => hub.cut(),
            _ => self.proxy().unwrap().cut(),
        }
    }

    fn restore(&self) {
        match self {
            Meeting::InProcess(hub) => hub.restore(),
            _ => self.proxy().unwrap().heal(),
        }
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("it took too long")
}

/// What one listener heard.
#[derive(Clone, Default)]
struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    heard: Mutex<Vec<Entry>>,
    more: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Message(Stamp, String),
    Gap(Gap),
}

impl Log {
    fn listen(bus: &Bus, topic: &'static str) -> (Log, Listening) {
        let log = Log::default();
        let inner = log.0.clone();
        let listening = bus.listen(topic, move |delivery| {
            let entry = match delivery {
                Delivery::Message(message) => {
                    let payload = String::from_utf8(message.payload.to_vec()).unwrap();
                    Entry::Message(message.stamp, payload)
                }
                Delivery::Gap(gap) => Entry::Gap(gap),
            };
            inner.heard.lock().unwrap().push(entry);
            inner.more.notify_waiters();
        });
        (log, listening)
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.heard.lock().unwrap().clone()
    }

    fn messages(&self) -> Vec<String> {
        let message = |entry| match entry {
            Entry::Message(_, payload) => Some(payload),
            Entry::Gap(_) => None,
        };
        self.entries().into_iter().filter_map(message).collect()
    }

    /// Waits until what was heard is as wanted.
    async fn until(&self, wanted: impl Fn(&[Entry]) -> bool) {
        let waiting = async {
            loop {
                let more = self.0.more.notified();
                let mut more = std::pin::pin!(more);
                more.as_mut().enable();
                if wanted(&self.entries()) {
                    return;
                }
                more.await;
            }
        };
        if timeout(SOON, waiting).await.is_err() {
            panic!("not heard in time; heard {:?}", self.entries());
        }
    }
}
