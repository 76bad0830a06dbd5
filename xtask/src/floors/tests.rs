use super::graph::{Graph, Named, Package};
use super::licence::holds;
use super::rules::broken;
use crate::command::root;

#[test]
fn this_workspace_keeps_its_rules() {
    let graph = Graph::read(root()).unwrap();
    assert!(graph.packages.len() > 50, "the graph was not read");
    assert_eq!(broken(&graph), Vec::<String>::new());
}

#[test]
fn a_dependency_goes_down_and_never_sideways_or_up() {
    let house = |name: &str, named: &[&str]| {
        graph(&[ours(name, named), ours("burgeon-jobs", &[]), ours("burgeon-db", &[])])
    };
    assert_eq!(said(&house("burgeon-http", &["burgeon-db"])), "");
    assert_eq!(
        said(&house("burgeon-http", &["burgeon-jobs"])),
        "burgeon-http (floor 4, rooms) depends on burgeon-jobs (floor 4, rooms): sideways; a crate depends on lower floors only"
    );
    assert_eq!(
        said(&house("burgeon-tls", &["burgeon-db"])),
        "burgeon-tls (floor 1, means) depends on burgeon-db (floor 2, state): upward; a crate depends on lower floors only"
    );
}

#[test]
fn only_the_crates_for_tests_may_be_above_and_only_in_tests() {
    let house = |dev: bool, name: &str| {
        let named = Named { name: name.to_owned(), dev };
        let http = Package { names: vec![named], ..ours("burgeon-http", &[]) };
        graph(&[http, ours("burgeon-test", &[]), ours("burgeon-services", &[]), ours("burgeon-console", &[])])
    };
    assert_eq!(said(&house(true, "burgeon-test")), "");
    assert_eq!(said(&house(true, "burgeon-services")), "");
    assert!(
        said(&house(false, "burgeon-test")).contains("depends on burgeon-test (floor 8, garden): upward")
    );
    assert!(
        said(&house(true, "burgeon-console"))
            .contains("dev-depends on burgeon-console (floor 6, gallery): upward")
    );
}

#[test]
fn a_crate_without_a_floor_is_named() {
    let said = said(&graph(&[ours("burgeon-attic", &[])]));
    assert!(said.starts_with("burgeon-attic is on no floor"), "{said}");
}

#[test]
fn a_second_owner_is_refused_in_tests_too() {
    let db = ours("burgeon-db", &["tokio-postgres", "rusqlite"]);
    assert_eq!(said(&graph(&[db])), "");
    for dev in [false, true] {
        let named = Named { name: "rusqlite".to_owned(), dev };
        let second = Package { names: vec![named], ..ours("burgeon-telemetry", &[]) };
        let said = said(&graph(&[second]));
        assert!(said.starts_with("burgeon-telemetry names rusqlite, which only burgeon-db may"), "{said}");
    }
}

#[test]
fn a_banned_crate_and_a_double_one_are_named_however_deep_they_are() {
    let graph = graph(&[
        ours("burgeon-core", &[]),
        theirs("aws-lc-sys", "0.30.0", "MIT"),
        theirs("libsqlite3-sys", "0.37.0", "MIT"),
        theirs("libsqlite3-sys", "0.38.0", "MIT"),
    ]);
    let said = broken(&graph);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("aws-lc-sys is banned: ring is the one crypto provider"), "{said:?}");
    assert!(said[1].starts_with("libsqlite3-sys is there as 0.37.0 and 0.38.0: it links"), "{said:?}");
}

#[test]
fn a_licence_that_asks_for_more_keeps_a_crate_out() {
    let under = |name: &str, licence: &str| {
        said(&graph(&[ours("burgeon-core", &[]), theirs(name, "1.0.0", licence)]))
    };
    assert_eq!(under("free", "MIT OR GPL-3.0"), "");
    assert!(under("strict", "GPL-3.0").contains("strict 1.0.0 is under `GPL-3.0`"));
    assert!(under("file", "").contains("states no licence"));
    assert_eq!(under("option-ext", "MPL-2.0"), "");
    assert!(under("another", "MPL-2.0").contains("not on the list"));
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let only_mit = |expression: &str| holds(expression, &|name: &str| name == "MIT" || name == "A WITH x");
    for yes in [
        "MIT",
        "MIT OR B",
        "B OR MIT",
        "B/MIT",
        "B / MIT",
        "(B OR MIT) AND MIT",
        "MIT AND A WITH x",
        "B AND C OR MIT",
    ] {
        assert_eq!(only_mit(yes), Some(true), "{yes}");
    }
    for no in ["B", "MIT AND B", "A", "(MIT OR B) AND B", "B OR C AND MIT"] {
        assert_eq!(only_mit(no), Some(false), "{no}");
    }
    for broken in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT MIT", "A WITH", "()"] {
        assert_eq!(only_mit(broken), None, "{broken}");
    }
}

#[test]
fn a_graph_that_was_not_read_is_not_a_good_one() {
    assert_eq!(broken(&Graph::default()), ["the workspace has no members: the graph was not read"]);
}

fn said(graph: &Graph) -> String {
    broken(graph).join("\n")
}

fn graph(packages: &[Package]) -> Graph {
    Graph { packages: packages.to_vec() }
}

fn ours(name: &str, named: &[&str]) -> Package {
    let names = named.iter().map(|name| Named { name: (*name).to_owned(), dev: false }).collect();
    Package {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        licence: Some("MIT".to_owned()),
        ours: true,
        names,
    }
}

fn theirs(name: &str, version: &str, licence: &str) -> Package {
    let licence = (!licence.is_empty()).then(|| licence.to_owned());
    Package { name: name.to_owned(), version: version.to_owned(), licence, ours: false, names: Vec::new() }
}
