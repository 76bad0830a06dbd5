//! From the configuration to the servers of a fleet, and what may be told of them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::gate::Gate;
use super::judge::{Judge, Limits};
use super::meters::FleetMeters;
use super::node::{Node, Standing};
use super::{Fleet, Inner, Routing};
use crate::Fault;
use crate::postgres::url::Target;
use crate::postgres::{Pool, Role};

/// No fleet is larger: which of them were tried fits one word.
const MOST: usize = 64;

/// One server of the database, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Where it is: `db-2:5432`.
    pub name: String,
    /// Takes writes.
    pub is_primary: bool,
    /// Takes reads as a replica.
    pub in_rotation: bool,
    /// How much log it has yet to replay, in bytes.
    pub lag_bytes: u64,
    /// For how long the primary has been ahead of it. Zero on an idle primary.
    pub lag: Duration,
    /// Why it takes neither reads nor writes.
    pub why: Option<String>,
}

/// Every host of `database.url` and of `database.replicas`, each once.
pub(super) fn fleet(config: &crate::Config, tasks: &Tasks, meters: &Meters) -> Result<Fleet, Fault> {
    let unusable = |key: &str, why: &str| Fault::Unusable { why: format!("{key}: {why}") };
    let mut hosts = Vec::new();
    let urls = std::iter::once(&config.url).chain(&config.replicas);
    for (number, url) in urls.enumerate() {
        let key = match number {
            0 => "`database.url`".to_owned(),
            number => format!("`database.replicas` ({number} of {})", config.replicas.len()),
        };
        let target = Target::parse(url).map_err(|why| unusable(&key, &why))?;
        for index in target.servers().map(|(index, ..)| index) {
            hosts.push((key.clone(), url, target.clone().only(Some(index)), index));
        }
    }
    if hosts.len() > MOST {
        return Err(unusable(
            "`database.replicas`",
            &format!("there are {} servers, and at most {MOST} are served", hosts.len()),
        ));
    }

    let alone = hosts.len() == 1;
    let first = hosts[0].2.database().to_owned();
    let mut known = HashSet::new();
    let mut nodes = Vec::new();
    for (key, url, target, index) in hosts {
        let name = target.place();
        if !known.insert(name.clone()) {
            return Err(unusable(&key, &format!("it names {name} a second time")));
        }
        if target.database() != first {
            let other = target.database();
            let why = format!("it names the database `{other}`, and `database.url` names `{first}`");
            return Err(unusable(&key, &why));
        }
        let standing = Arc::new(Standing::default());
        let server = crate::postgres::Server {
            url: url.clone(),
            only: Some(index),
            role: if alone { Role::Primary } else { Role::Any },
            name: if alone { "primary".to_owned() } else { name.clone() },
            standing: (!alone).then(|| standing.clone()),
        };
        let pool = Pool::new(config, &server, tasks, meters)?;
        nodes.push(Arc::new(Node::new(name, pool, standing, target.weight(), meters)));
    }
    let routing = (!alone).then(|| {
        let own = &config.routing;
        let limits = Limits { lag_bytes: own.max_lag_bytes.as_usize() as u64, lag: own.max_lag };
        let judge = Judge::new(nodes.len(), limits);
        let places = if own.fallback == 0 { config.postgres.connections() } else { own.fallback };
        Routing {
            view: watch::Sender::new(Arc::new(judge.view().clone())),
            judge: Mutex::new(judge),
            floor: AtomicU32::new(0),
            acknowledged: AtomicU64::new(0),
            gate: Gate::new(places, meters),
            knocks: Arc::new(Notify::new()),
            turn: AtomicUsize::new(0),
            names: nodes.iter().map(|node| node.name.clone()).collect(),
            meters: FleetMeters::new(meters),
            config: own.clone(),
        }
    });
    Ok(Fleet(Arc::new(Inner {
        nodes,
        routing,
        acquire: config.acquire_timeout,
        statement: config.statement_timeout,
        system: AtomicU64::new(0),
    })))
}

/// Refuses at start what waiting cannot mend: a password, a database that is not there, a server of another cluster.
pub(super) async fn refuse_unusable(fleet: &Fleet) -> Result<(), Fault> {
    let Some(routing) = &fleet.0.routing else { return Ok(()) };
    for (node, server) in fleet.0.nodes.iter().zip(&routing.view().servers) {
        let Some(why) = &server.why else { continue };
        let soon = Instant::now() + Duration::from_secs(1);
        let lasting = match node.pool.connector().survey(soon).await {
            Err(refusal) => !refusal.passing,
            Ok(_) => server.is_stranger,
        };
        if lasting {
            return Err(Fault::Unusable { why: format!("{}: {why}", node.name) });
        }
        tracing::warn!(server = node.name, why, "a database server cannot be used yet");
    }
    Ok(())
}

impl Fleet {
    /// All servers as they were last seen; none where there is only one.
    pub(crate) fn servers(&self) -> Vec<Server> {
        let Some(routing) = &self.0.routing else { return Vec::new() };
        let view = routing.view();
        let servers = routing.names.iter().zip(&view.servers).enumerate();
        servers
            .map(|(index, (name, server))| Server {
                name: name.clone(),
                is_primary: view.primary == Some(index),
                in_rotation: server.in_rotation,
                lag_bytes: server.lag_bytes,
                lag: server.lag,
                why: server.why.clone(),
            })
            .collect()
    }

    /// What is missing, for people; `Ok` when every server does its part.
    pub(crate) fn condition(&self) -> Result<(), String> {
        let Some(routing) = &self.0.routing else { return Ok(()) };
        let view = routing.view();
        if view.primary.is_none() {
            return Err(view.no_primary(&routing.names));
        }
        let idle: Vec<_> = self
            .servers()
            .into_iter()
            .filter(|server| !server.is_primary && !server.in_rotation)
            .map(|server| {
                format!("{}: {}", server.name, server.why.unwrap_or_else(|| "not asked yet".to_owned()))
            })
            .collect();
        if idle.is_empty() { Ok(()) } else { Err(idle.join("; ")) }
    }
}
