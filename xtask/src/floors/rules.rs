//! The rules, each with its reason. `deny.toml` says the same where cargo-deny can.

use super::graph::{Graph, Package};
use super::licence;

/// A floor of the house and the crates that live on it.
#[derive(Debug)]
struct Floor {
    name: &'static str,
    crates: &'static [&'static str],
}

/// From the ground up.
const FLOORS: [Floor; 9] = [
    Floor { name: "ground", crates: &["burgeon-core", "burgeon-meter", "burgeon-macros"] },
    Floor {
        name: "means",
        crates: &["burgeon-runtime", "burgeon-resilience", "burgeon-tls", "burgeon-services"],
    },
    Floor { name: "state", crates: &["burgeon-db", "burgeon-redis", "burgeon-telemetry"] },
    Floor { name: "together", crates: &["burgeon-cluster", "burgeon-client"] },
    Floor { name: "rooms", crates: &["burgeon-http", "burgeon-jobs", "burgeon-cache"] },
    Floor { name: "parlour", crates: &["burgeon-realtime"] },
    Floor { name: "gallery", crates: &["burgeon-console"] },
    Floor { name: "roof", crates: &["burgeon", "burgeon-gateway"] },
    Floor { name: "garden", crates: &["burgeon-cli", "burgeon-test", "xtask", "shop"] },
];

/// Dev-dependencies on these may point upward: tests of everything use them, and nothing ships with them.
const FOR_TESTS: [&str; 2] = ["burgeon-services", "burgeon-test"];

/// A crate that only one of ours may name, and why.
#[derive(Debug)]
struct Owned {
    name: &'static str,
    owner: &'static str,
    reason: &'static str,
}

const OWNED: [Owned; 10] = [
    Owned {
        name: "tokio-postgres",
        owner: "burgeon-db",
        reason: "the engines are an enum, and drivers are its inside",
    },
    Owned {
        name: "rusqlite",
        owner: "burgeon-db",
        reason: "libsqlite3-sys exists once per build; one place chooses it",
    },
    Owned { name: "sea-query", owner: "burgeon-db", reason: "statements are known values with a name" },
    Owned {
        name: "rustls",
        owner: "burgeon-tls",
        reason: "two crypto providers in one build panic at run time",
    },
    Owned {
        name: "tokio-rustls",
        owner: "burgeon-tls",
        reason: "two crypto providers in one build panic at run time",
    },
    Owned {
        name: "redis",
        owner: "burgeon-redis",
        reason: "its default timeouts break slow commands; one place sets them",
    },
    Owned { name: "async-nats", owner: "burgeon-cluster", reason: "a bus adapter and nothing else" },
    Owned { name: "opentelemetry", owner: "burgeon-telemetry", reason: "its crates must move together" },
    Owned { name: "opentelemetry_sdk", owner: "burgeon-telemetry", reason: "its crates must move together" },
    Owned { name: "opentelemetry-otlp", owner: "burgeon-telemetry", reason: "its crates must move together" },
];

/// Crates that must not be in any build, and why.
const BANNED: [(&str, &str); 4] = [
    (
        "aws-lc-sys",
        "ring is the one crypto provider; a second panics at run time, and this one is a large C build",
    ),
    ("aws-lc-rs", "ring is the one crypto provider; a second panics at run time"),
    ("openssl-sys", "TLS is rustls; nothing may need the machine's OpenSSL"),
    ("native-tls", "TLS is rustls; nothing may need the machine's OpenSSL"),
];

/// Crates of which two versions break a build or a run, and why.
const ONCE: [(&str, &str); 4] = [
    ("libsqlite3-sys", "it links a C library, which exists once"),
    ("rustls", "a provider installed in one version is unknown to the other"),
    ("ring", "it links a C library, and twice is twice the build"),
    ("tokio", "a runtime of one version is none to the other"),
];

/// Every rule that the graph breaks, a sentence each.
pub(crate) fn broken(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for package in graph.ours() {
        broken.extend(floors(graph, package));
        broken.extend(owners(package));
    }
    broken.extend(unread(graph));
    for package in &graph.packages {
        let name = package.name.as_str();
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            broken.push(format!("{name} is banned: {reason} (who brings it: `cargo tree -i {name}`)"));
        }
        broken.extend(licence::refusal(package));
    }
    broken.extend(ONCE.iter().filter_map(|(name, reason)| {
        let versions: Vec<&str> =
            graph.packages.iter().filter(|one| one.name == *name).map(|one| one.version.as_str()).collect();
        (versions.len() > 1).then(|| format!("{name} is there as {}: {reason}", versions.join(" and ")))
    }));
    broken
}

/// The house, from the roof down, for a person.
pub(crate) fn picture() -> String {
    let rows = FLOORS.iter().enumerate().rev();
    rows.map(|(number, floor)| format!("{number} {:9} {}", floor.name, floor.crates.join("  ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.crates.contains(&name))
}

fn floors(graph: &Graph, package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some(floor) = floor_of(name) else {
        return vec![format!(
            "{name} is on no floor: give it one in xtask/src/floors/rules.rs, and say why it exists"
        )];
    };
    let mut broken = Vec::new();
    for named in &package.names {
        let other = &named.name;
        // A crate of ours without a floor is told of once, above.
        let Some(below) = graph.find(other).and_then(|_| floor_of(other)) else { continue };
        let direction = match below.cmp(&floor) {
            std::cmp::Ordering::Less => continue,
            _ if named.dev && FOR_TESTS.contains(&other.as_str()) => continue,
            // Its own tests ask for its features.
            _ if named.dev && other == name => continue,
            std::cmp::Ordering::Equal => "sideways",
            std::cmp::Ordering::Greater => "upward",
        };
        let kind = if named.dev { "dev-depends" } else { "depends" };
        let place = |number: usize| format!("floor {number}, {}", FLOORS[number].name);
        broken.push(format!(
            "{name} ({}) {kind} on {other} ({}): {direction}; a crate depends on lower floors only",
            place(floor),
            place(below)
        ));
    }
    broken
}

fn owners(package: &Package) -> Vec<String> {
    let second = |owned: &&Owned| {
        package.name != owned.owner && package.names.iter().any(|named| named.name == owned.name)
    };
    let sentence = |owned: &Owned| {
        let Owned { name, owner, reason } = owned;
        format!("{} names {name}, which only {owner} may: {reason}; use what {owner} offers", package.name)
    };
    OWNED.iter().filter(second).map(sentence).collect()
}

/// A graph without a crate of ours keeps every rule, and proves nothing.
fn unread(graph: &Graph) -> Option<String> {
    let nobody = graph.ours().next().is_none();
    nobody.then(|| "the workspace has no members: the graph was not read".to_owned())
}
