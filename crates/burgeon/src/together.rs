//! What makes this node one of many: members, leases, the bus, shared limits, and the caches that hear of each other.
//!
//! What costs something is made when somebody asks for it, and only then: a connection for the bus, a sweep for the limits.
//! Who asks is known before anything is made, because modules, commands and first starts say by their arguments what they
//! use. A member is every node that serves, for that is how the others know of it.
//!
//! ```text
//!   compose   members and leases as handles; bus, limits, caches where somebody asks for them
//!   join      a row among the members; refused beside a node that this one would not hear; probes, sweeps
//!   leave     the row goes, the bus says what is left and good-bye, while the database is still there
//! ```

use std::time::Duration;

use burgeon_cache::Caches;
use burgeon_cache::far::{Far, Which};
use burgeon_cluster::bus::{Hub, Link};
use burgeon_cluster::members::{self, About, Member};
use burgeon_cluster::{Bus, Carrier, Config, Leases, Limits, Members, NodeId, Scope, State, limits};
use burgeon_core::units::format_duration;
use burgeon_core::{Deadline, Error, Result};
use burgeon_db::{Db, Engine};
use burgeon_meter::Meters;
use burgeon_runtime::{Life, Restart, Service, Tasks};
use tokio::time::Instant;

use crate::StartError;
use crate::brokers::Brokers;
use crate::parts::{Need, Parts};
use crate::scopes::primitives;

/// The channel of the bus on Postgres. A database is one application's, so it needs no other name.
const CHANNEL: &str = "burgeon";
/// How long a command may take, at its end, to tell the nodes what it has changed; and a node, to leave.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The list of members is in trouble when the database has not confirmed it for so long.
const OLD: Duration = Duration::from_secs(10);

/// What a process is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A node: a member, and on the bus.
    Serves,
    /// On the bus for as long as it takes: a command.
    Visits,
    /// On nothing: it looks at the application, or moves its data.
    Apart,
}

/// One node among the nodes, or a process beside them.
pub(crate) struct Together {
    application: &'static str,
    config: Config,
    cache: burgeon_cache::Config,
    brokers: Brokers,
    db: Db,
    meters: Meters,
    /// What runs for all this. Stopped as a whole, before the database is closed.
    tasks: Tasks,
    members: Members,
    about: About,
    /// Whether nobody else can be a member: on a SQLite file that is this process's own.
    is_alone: bool,
    link: Option<Link>,
    reach: Scope,
    bus: Option<Bus>,
    limits: Option<Limits>,
    caches: Option<Caches>,
}

/// Who this node is, for people.
pub(crate) struct Name {
    pub(crate) application: &'static str,
    pub(crate) host: String,
    pub(crate) version: &'static str,
}

impl Together {
    /// Makes the handles that cost nothing, and gives them.
    pub(crate) fn new(
        standing: Standing,
        name: &Name,
        config: (&Config, &burgeon_cache::Config, &Brokers),
        (db, is_shared): (&Db, bool),
        (tasks, meters): (&Tasks, &Meters),
        parts: &mut Parts,
    ) -> Result<Self, StartError> {
        let (config, cache, brokers) = config;
        let (mut brokers, tasks) = (brokers.clone(), tasks.part());
        let node = NodeId::draw().map_err(|error| StartError::because("this node has no id", error))?;
        let link = match reach(config.link, db.engine())? {
            // Who stands apart has nobody to tell.
            _ if standing == Standing::Apart => Ok(Link::InProcess(Hub::new())),
            Scope::Local => Ok(Link::InProcess(Hub::new())),
            Scope::Cluster => match config.link {
                Carrier::Redis => brokers.redis.link(name.application, &tasks, meters),
                Carrier::Nats => brokers.nats.link(name.application),
                Carrier::Auto | Carrier::Process | Carrier::Postgres => {
                    Ok(Link::Postgres { db: db.clone(), channel: CHANNEL.to_owned() })
                }
            },
        };
        let link = link.map_err(|error| {
            StartError::because(format!("`cluster.link` is `{}`", config.link.name()), error)
        })?;
        let members = Members::awaiting(node, meters);
        parts.put(members.clone(), "Burgeon");
        parts.put(Leases::new(db.clone(), node), "Burgeon");
        let called = match config.name.is_empty() {
            true => format!("{}/{}", name.host, std::process::id()),
            false => config.name.clone(),
        };
        let about = About {
            name: called,
            version: name.version.to_owned(),
            roles: Vec::new(),
            address: String::new(),
            bus: String::new(),
            limits: String::new(),
        };
        Ok(Self {
            application: name.application,
            config: config.clone(),
            cache: cache.clone(),
            brokers,
            db: db.clone(),
            meters: meters.clone(),
            tasks,
            members,
            about,
            is_alone: db.engine() == Engine::Sqlite && !is_shared,
            reach: link.scope(),
            link: Some(link),
            bus: None,
            limits: None,
            caches: None,
        })
    }

    /// Makes what is asked for and not there yet, and gives it.
    pub(crate) fn give<'a>(
        &mut self,
        needs: impl Iterator<Item = &'a Need>,
        parts: &mut Parts,
    ) -> Result<(), StartError> {
        for need in needs {
            let made = match () {
                () if need.is::<Bus>() => self.bus().map(|bus| drop(parts.put(bus, "Burgeon"))),
                () if need.is::<Caches>() => self.caches().map(|caches| drop(parts.put(caches, "Burgeon"))),
                () if need.is::<Limits>() => self.limits().map(|limits| drop(parts.put(limits, "Burgeon"))),
                () => Ok(()),
            };
            made.map_err(|error| StartError::because(format!("`{}` cannot be made", need.name), error))?;
        }
        Ok(())
    }

    fn bus(&mut self) -> Result<Bus> {
        if let Some(link) = self.link.take() {
            self.about.bus = link.fingerprint(&self.config.bus);
            let node = self.members.node();
            self.bus = Some(Bus::join_as(node, link, self.config.bus.clone(), &self.tasks, &self.meters)?);
        }
        self.bus.clone().ok_or_else(|| Error::internal("the bus could not be joined before"))
    }

    fn caches(&mut self) -> Result<Caches> {
        if self.caches.is_none() {
            // The bus first: what one node changes, the others' caches must hear.
            let bus = self.bus()?;
            let caches = Caches::new(&self.cache, &self.tasks, &self.meters)?.on_bus(&bus);
            self.caches = Some(match self.cache.far.store {
                Which::None => caches,
                Which::Database => caches.on_far(Far::database(&self.db, self.application)),
                Which::Redis => {
                    let far = self.brokers.redis.far(self.application, &self.tasks, &self.meters)?;
                    caches.on_far(far)
                }
            });
        }
        self.caches.clone().ok_or_else(|| Error::internal("the caches could not be made before"))
    }

    fn limits(&mut self) -> Result<Limits> {
        if self.limits.is_none() {
            let place = self.config.limits;
            let store = match place {
                limits::Place::Database => limits::Store::from(&self.db),
                limits::Place::Redis => self.brokers.redis.limits(&self.tasks, &self.meters)?,
            };
            self.about.limits = place.name().to_owned();
            self.limits = Some(Limits::new(store, Some(self.members.clone()), &self.meters));
        }
        self.limits.clone().ok_or_else(|| Error::internal("the limits could not be made before"))
    }

    /// The node's part in the process's life: joins before anybody is let in, leaves after the last has gone.
    pub(crate) fn service(self) -> Service {
        Service::new("cluster", async move |life: Life| {
            let joined = self.join(&life).await;
            if joined.is_ok() {
                life.ready();
                life.draining().await;
            }
            // Before the database is closed: the row goes, and the bus says what is left.
            let left = self.tasks.stop(LAST_WORDS).await;
            joined.and(left)
        })
        .after(["database", "admin"])
    }

    async fn join(&self, life: &Life) -> Result<()> {
        if self.is_alone {
            self.members.stand_alone(self.about.clone());
        } else {
            self.members.join(&self.db, self.about.clone(), self.bus.clone(), &self.tasks).await?;
            for other in self.members.others() {
                tracing::info!(
                    node = other.about.name,
                    version = other.about.version,
                    alive_for = format_duration(other.since),
                    "beside another node"
                );
            }
            if let Some(why) = wrong_here(&self.members, &self.about, self.reach) {
                return Err(Error::unavailable(why));
            }
        }
        // In Redis they leave by themselves.
        if self.limits.is_some() && self.config.limits == limits::Place::Database {
            limits::sweep(&self.db, &self.tasks);
        }
        if let Some(caches) = &self.caches {
            // What a node committed that died before it could say so.
            caches.mend(&self.db);
        }
        self.tell_the_probes(life);
        self.watch_the_file();
        Ok(())
    }

    /// What `/readyz` says: of the bus and the members, whose trouble makes the node slower and not wrong, and of other
    /// nodes beside which it would be wrong.
    fn tell_the_probes(&self, life: &Life) {
        let health = life.health();
        self.brokers.redis.tell_the_probes(health);
        let (members, about, reach) = (self.members.clone(), self.about.clone(), self.reach);
        health.check("cluster", move || {
            let why = wrong_here(&members, &about, reach);
            async move { why.map_or(Ok(()), |why| Err(Error::unavailable(why))) }
        });
        let members = self.members.clone();
        health.condition("cluster members", move || match members.age() {
            age if age > OLD => Err(format!(
                "the database has not said for {} which nodes live",
                format_duration(Duration::from_secs(age.as_secs()))
            )),
            _ => Ok(()),
        });
        if let Some(bus) = self.bus.clone() {
            health.condition("cluster bus", move || match bus.state() {
                State::Whole => Ok(()),
                State::Partial => Err("a node has fallen silent without a good-bye".to_owned()),
                State::Cut => {
                    Err("this node hears no other: its caches trust what they hold for less long".to_owned())
                }
            });
        }
    }

    /// On SQLite a command beside this process is not on its bus, but writes to its file.
    fn watch_the_file(&self) {
        let Some(caches) = self.caches.clone() else { return };
        if self.db.engine() != Engine::Sqlite {
            return;
        }
        let (db, stopping) = (self.db.clone(), self.tasks.stopping());
        drop(self.tasks.supervise("cache.file", Restart::default(), move || {
            let (db, stopping, caches) = (db.clone(), stopping.clone(), caches.clone());
            async move { db.watch_others(stopping, move || caches.distrust()).await }
        }));
    }

    /// Refuses a command whose changes the nodes that live would not hear of, or that would not count with them. On SQLite they
    /// look at the file.
    pub(crate) async fn refuse_apart(&self) -> Result<(), StartError> {
        let is_alone = self.bus.is_none() && self.limits.is_none();
        if is_alone || self.db.engine() == Engine::Sqlite {
            return Ok(());
        }
        let alive = members::alive(&self.db).await;
        let alive = alive.map_err(|error| StartError::because("the members cannot be read", error))?;
        match alive.iter().find_map(|member| apart(&self.about, self.reach, member)) {
            Some(why) => Err(StartError::new(why)),
            None => Ok(()),
        }
    }

    /// Writes what a command has only noted, and tells the nodes what it has changed, before it ends.
    pub(crate) async fn flush(&self) {
        self.db.flush().await;
        let Some(bus) = &self.bus else { return };
        let until = Deadline::after(Instant::now().into_std(), LAST_WORDS);
        if !bus.flushed(until).await {
            tracing::warn!(
                "the bus did not take what this command has said: what the nodes have cached of it grows old by itself"
            );
        }
    }
}

/// Why this node must not work: what it shares with an older member does not meet that one's. Of two such nodes the younger gives
/// way.
fn wrong_here(members: &Members, about: &About, reach: Scope) -> Option<String> {
    members
        .alive()
        .iter()
        .take_while(|member| member.node != members.node())
        .find_map(|older| apart(about, reach, older))
}

/// Why these two are not one application.
fn apart(about: &About, reach: Scope, other: &Member) -> Option<String> {
    deaf(about, reach, other).or_else(|| counting_apart(about, other))
}

/// Why these two would not hear each other, though both have something to say.
fn deaf(about: &About, reach: Scope, other: &Member) -> Option<String> {
    let silent = about.bus.is_empty() || other.about.bus.is_empty();
    let meet = reach == Scope::Cluster && about.bus == other.about.bus;
    (!silent && !meet).then(|| {
        format!(
            "wrong beside the node {}, which lives already: {} (here: {}; there: {}). Neither would hear of what the other \
             changes: `cluster.link` must be the same on all nodes and not `process`, and `cluster.bus.heartbeat` the same",
            other.about.name,
            wrong(),
            about.bus,
            other.about.bus
        )
    })
}

/// Why these two would allow twice as much, though both count. A node of a version that does not say where it counts is believed.
fn counting_apart(about: &About, other: &Member) -> Option<String> {
    let silent = about.limits.is_empty() || other.about.limits.is_empty();
    (!silent && about.limits != other.about.limits).then(|| {
        format!(
            "wrong beside the node {}, which lives already: shared limits (here: {}; there: {}). Each would count for itself: \
             `cluster.limits` must be the same on all nodes",
            other.about.name, about.limits, other.about.limits
        )
    })
}

/// What two nodes have for themselves alone that do not hear each other.
fn wrong() -> String {
    let wrong = primitives(Engine::Postgres, Scope::Local, limits::Place::Database);
    let wrong: Vec<_> = wrong.iter().filter(|one| one.is_wrong_beside_others()).map(|one| one.name).collect();
    wrong.join(", ")
}

/// How far a bus of this carrier reaches on this engine.
pub(crate) fn reach(carrier: Carrier, engine: Engine) -> Result<Scope, StartError> {
    match (carrier, engine) {
        (Carrier::Process, _) | (Carrier::Auto, Engine::Sqlite) => Ok(Scope::Local),
        (Carrier::Auto | Carrier::Postgres, Engine::Postgres) | (Carrier::Redis | Carrier::Nats, _) => {
            Ok(Scope::Cluster)
        }
        (Carrier::Postgres, Engine::Sqlite) => {
            Err(StartError::new("`cluster.link` is `postgres`, and the database is a SQLite file")
                .and("leave it at `auto`, which takes what suits the database"))
        }
    }
}
