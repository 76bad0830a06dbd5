//! In which order modules come: as declared, but never before what they come after.

/// A module's name and the names it comes after.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) after: Vec<String>,
}

/// The indices of the nodes in order: of all that may come next, the first declared does (Kahn, 1962).
///
/// # Errors
/// A sentence, when a name is unknown or modules come after each other.
pub(crate) fn order(nodes: &[Node]) -> Result<Vec<usize>, String> {
    let position = |name: &str| nodes.iter().position(|node| node.name == name);
    for node in nodes {
        if let Some(unknown) = node.after.iter().find(|name| position(name).is_none()) {
            let known: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(match crate::config::did_you_mean(unknown, known.iter().copied()) {
                Some(meant) => format!(
                    "module `{}` comes after `{unknown}`, which is no module; did you mean `{meant}`?",
                    node.name
                ),
                None => format!(
                    "module `{}` comes after `{unknown}`, which is no module; there are {}",
                    node.name,
                    known.join(", ")
                ),
            });
        }
    }
    let mut order = Vec::with_capacity(nodes.len());
    while order.len() < nodes.len() {
        let ready =
            |node: &Node| node.after.iter().all(|name| position(name).is_some_and(|at| order.contains(&at)));
        match (0..nodes.len()).find(|index| !order.contains(index) && ready(&nodes[*index])) {
            Some(next) => order.push(next),
            None => return Err(format!("modules come after each other: {}", cycle(nodes, &order))),
        }
    }
    Ok(order)
}

/// Walks from one unplaced module to one it waits for, until one comes up again.
fn cycle(nodes: &[Node], placed: &[usize]) -> String {
    let unplaced =
        |name: &String| (0..nodes.len()).find(|at| !placed.contains(at) && nodes[*at].name == *name);
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..nodes.len()).find(|at| !placed.contains(at));
    while let Some(at) = next {
        let seen = path.iter().position(|earlier| *earlier == at);
        path.push(at);
        if let Some(start) = seen {
            path.drain(..start);
            break;
        }
        next = nodes[at].after.iter().find_map(unplaced);
    }
    path.iter().map(|at| format!("`{}`", nodes[*at].name)).collect::<Vec<_>>().join(" after ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(modules: &[(&str, &[&str])]) -> Result<Vec<String>, String> {
        let nodes: Vec<Node> = modules
            .iter()
            .map(|(name, after)| Node {
                name: (*name).to_owned(),
                after: after.iter().map(|name| (*name).to_owned()).collect(),
            })
            .collect();
        Ok(order(&nodes)?.into_iter().map(|at| nodes[at].name.clone()).collect())
    }

    #[test]
    fn as_declared_unless_one_comes_after_another() {
        assert_eq!(ordered(&[("a", &[]), ("b", &[])]).unwrap(), ["a", "b"]);
        assert_eq!(ordered(&[("a", &["c"]), ("b", &[]), ("c", &[])]).unwrap(), ["b", "c", "a"]);
    }

    #[test]
    fn a_cycle_is_named_and_nothing_but_the_cycle() {
        let refused = ordered(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]).unwrap_err();
        assert_eq!(refused, "modules come after each other: `b` after `c` after `b`");
        assert_eq!(ordered(&[("a", &["a"])]).unwrap_err(), "modules come after each other: `a` after `a`");
    }

    #[test]
    fn an_unknown_module_is_named_with_the_likely_one() {
        let refused = ordered(&[("catalog", &[]), ("orders", &["catalogue"])]).unwrap_err();
        assert!(refused.ends_with("did you mean `catalog`?"), "{refused}");
    }
}
