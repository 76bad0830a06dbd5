//! In which order services start: as declared, but never before what they come after.

use std::borrow::Cow;

/// A service's name and the names it starts after.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) after: &'a [Cow<'static, str>],
}

/// The indices of `nodes` in starting order: of all that may start, the first declared comes next (Kahn, 1962).
///
/// # Errors
/// A sentence, when a name is unknown or taken twice, or services wait for each other.
pub(crate) fn order(nodes: &[Node<'_>]) -> Result<Vec<usize>, String> {
    let position = |name: &str| nodes.iter().position(|node| node.name == name);
    for (index, node) in nodes.iter().enumerate() {
        if position(node.name) != Some(index) {
            return Err(format!("two services are called `{}`; a name must be unique", node.name));
        }
        if let Some(unknown) = node.after.iter().find(|name| position(name).is_none()) {
            let known: Vec<_> = nodes.iter().map(|node| format!("`{}`", node.name)).collect();
            return Err(format!(
                "the service `{}` starts after `{unknown}`, but no service is called so; there are {}",
                node.name,
                known.join(", ")
            ));
        }
    }

    let mut placed = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    while order.len() < nodes.len() {
        let may_start =
            |node: &Node<'_>| node.after.iter().all(|name| position(name).is_some_and(|at| placed[at]));
        match (0..nodes.len()).find(|index| !placed[*index] && may_start(&nodes[*index])) {
            Some(next) => {
                placed[next] = true;
                order.push(next);
            }
            None => return Err(format!("services wait for each other: {}", cycle(nodes, &placed))),
        }
    }
    Ok(order)
}

/// Walks from one unplaced service to another it waits for until one comes up again.
fn cycle(nodes: &[Node<'_>], placed: &[bool]) -> String {
    let waits_for = |index: usize| {
        let unplaced = |name: &str| (0..nodes.len()).find(|at| !placed[*at] && nodes[*at].name == name);
        nodes[index].after.iter().find_map(|name| unplaced(name))
    };
    let mut path: Vec<usize> = Vec::new();
    let mut next = placed.iter().position(|placed| !placed);
    while let Some(index) = next {
        if let Some(start) = path.iter().position(|seen| *seen == index) {
            path.drain(..start);
            path.push(index);
            break;
        }
        path.push(index);
        next = waits_for(index);
    }
    path.into_iter().map(|index| format!("`{}`", nodes[index].name)).collect::<Vec<_>>().join(" after ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(services: &[(&'static str, &[&'static str])]) -> Result<Vec<&'static str>, String> {
        let after: Vec<Vec<Cow<'static, str>>> = services
            .iter()
            .map(|(_, after)| after.iter().map(|name| Cow::Borrowed(*name)).collect())
            .collect();
        let nodes: Vec<_> =
            services.iter().zip(&after).map(|((name, _), after)| Node { name, after }).collect();
        Ok(order(&nodes)?.into_iter().map(|index| services[index].0).collect())
    }

    #[test]
    fn as_declared_unless_one_comes_after_another() {
        assert_eq!(ordered(&[]), Ok(vec![]));
        assert_eq!(ordered(&[("a", &[]), ("b", &[]), ("c", &[])]), Ok(vec!["a", "b", "c"]));
        assert_eq!(
            ordered(&[("http", &["database", "bus"]), ("bus", &["database"]), ("database", &[])]),
            Ok(vec!["database", "bus", "http"])
        );
    }

    #[test]
    fn what_cannot_be_ordered_is_refused_by_name() {
        let refused = ordered(&[("d", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]).unwrap_err();
        assert_eq!(refused, "services wait for each other: `a` after `b` after `c` after `a`");
        let refused = ordered(&[("a", &["a"])]).unwrap_err();
        assert_eq!(refused, "services wait for each other: `a` after `a`");
        let refused = ordered(&[("http", &["databse"]), ("database", &[])]).unwrap_err();
        assert!(refused.contains("`databse`") && refused.contains("`database`"), "{refused}");
        assert!(ordered(&[("a", &[]), ("a", &[])]).unwrap_err().contains("two services"));
    }
}
