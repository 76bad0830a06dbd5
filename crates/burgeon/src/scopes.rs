//! Scopes: every primitive of the house that knows something across requests, and how far it reaches as it is configured.
//!
//! This is the one list. The verb `scopes` prints it, `docs/cluster.md` shows it, and a node that would make one of them wrong
//! names it from here. What a module keeps in memory of its own is its author's to declare: on several nodes it is
//! several things.

use burgeon_cluster::Scope;
use burgeon_cluster::limits::Place;
use burgeon_db::Engine;
use serde::Serialize;

/// Something that knows something across requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Primitive {
    pub(crate) name: &'static str,
    /// How far it reaches here.
    pub(crate) scope: Scope,
    /// How far it must reach where there are several nodes.
    pub(crate) needs: Scope,
    /// Where what it knows is kept.
    pub(crate) kept_in: &'static str,
    /// What a second node changes.
    pub(crate) second_node: &'static str,
}

impl Primitive {
    /// Whether a second node would make it mean something else.
    pub(crate) fn is_wrong_beside_others(&self) -> bool {
        self.scope == Scope::Local && self.needs == Scope::Cluster
    }
}

/// All there are, on a database of this engine, with a bus that reaches so far, and with limits that are counted there.
pub(crate) fn primitives(engine: Engine, bus: Scope, limits: Place) -> Vec<Primitive> {
    // A SQLite file is one process's.
    let database = match engine {
        Engine::Postgres => Scope::Cluster,
        Engine::Sqlite => Scope::Local,
    };
    let (counted, counted_in) = match limits {
        Place::Database => (database, "a table"),
        Place::Redis => (Scope::Cluster, "Redis"),
    };
    let shared = |name, scope, kept_in| Primitive {
        name,
        scope,
        needs: Scope::Cluster,
        kept_in,
        second_node: "nothing: it knows the same",
    };
    let own = |name, kept_in, second_node| Primitive {
        name,
        scope: Scope::Local,
        needs: Scope::Local,
        kept_in,
        second_node,
    };
    vec![
        shared("migrations", database, "a table, under a lock"),
        shared("first starts", database, "a table, claimed by one node"),
        shared("signing keys", database, "a table; a new key signs when every node has seen it"),
        shared("sessions", Scope::Cluster, "the visitor's signed cookie"),
        shared("flash messages", Scope::Cluster, "the visitor's signed cookie"),
        shared("form tokens", Scope::Cluster, "the visitor's signed cookie"),
        shared("causal positions", Scope::Cluster, "the visitor's signed cookie and header"),
        shared("members", database, "a table"),
        shared("leases", database, "a table"),
        shared("shared limits", counted, counted_in),
        shared("bus", bus, "nowhere: told to whoever is there"),
        shared("caches", bus, "memory; what makes a value wrong is told by the bus"),
        own("connection pools", "memory", "as many connections again: what is configured counts per node"),
        own("admission and its queue", "memory", "nothing: each protects its own process"),
        own("breakers, budgets, bulkheads", "memory", "nothing: each judges by what it has met itself"),
        own(
            "limits of one process (`resilience::rate`)",
            "memory",
            "twice as many in all; a promise to somebody is a shared limit",
        ),
        own("meters", "memory", "each node has its own; whoever collects them adds them up"),
        own("log level (`PUT /log`)", "memory", "changed on the node that was asked"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_postgres_nothing_is_wrong_beside_others_unless_the_bus_is_kept_in_the_process() {
        let wrong = |bus| -> Vec<_> {
            let all = primitives(Engine::Postgres, bus, Place::Database);
            all.into_iter().filter(Primitive::is_wrong_beside_others).map(|one| one.name).collect()
        };
        assert_eq!(wrong(Scope::Cluster), [""; 0]);
        assert_eq!(wrong(Scope::Local), ["bus", "caches"]);
    }

    #[test]
    fn limits_reach_as_far_as_where_they_are_counted() {
        let limits = |engine, place| {
            let all = primitives(engine, Scope::Local, place);
            let limits = all.into_iter().find(|one| one.name == "shared limits").unwrap();
            (limits.scope, limits.kept_in)
        };
        assert_eq!(limits(Engine::Postgres, Place::Database), (Scope::Cluster, "a table"));
        assert_eq!(limits(Engine::Sqlite, Place::Database), (Scope::Local, "a table"));
        assert_eq!(limits(Engine::Sqlite, Place::Redis), (Scope::Cluster, "Redis"));
    }

    #[test]
    fn the_document_shows_the_list() {
        let document = include_str!("../../../docs/cluster.md");
        for one in primitives(Engine::Postgres, Scope::Cluster, Place::Database) {
            let row = format!("| {} | {} | {} | {} |", one.name, one.scope, one.kept_in, one.second_node);
            assert!(document.contains(&row), "docs/cluster.md lacks:\n{row}");
        }
    }
}
