//! From module functions to modules, in order, with everything that does not fit named.

use burgeon_core::Error;

use crate::app::Declared;
use crate::order::{Node, order};
use crate::parts::{Need, Parts};
use crate::{Module, StartError};

/// What Burgeon's own tables are listed under.
pub(crate) const HOUSE: [&str; 4] = ["burgeon", "http", "cluster", "cache"];

/// Calls the module functions, each as soon as all it asks for is there, and puts the modules in order.
///
/// # Errors
/// What nobody provides and who asks for it; two modules, or two APIs, of one name; modules after each other in a
/// circle; a function that failed.
pub(crate) fn build(
    declared: Vec<Declared>,
    parts: &mut Parts,
    serialised: bool,
) -> Result<Vec<Module>, StartError> {
    let mut waiting = declared;
    let mut modules: Vec<Module> = Vec::new();
    while let Some(at) = waiting.iter().position(|one| parts.missing(&one.needs).is_empty()) {
        let Declared { function, place, needs, build } = waiting.remove(at);
        let mut module = build(parts).map_err(|error: Error| {
            StartError::because(format!("the module function {function} (at {place}) failed"), error)
        })?;
        if HOUSE.contains(&module.name) {
            return Err(StartError::new(format!("the module name `{}` belongs to Burgeon", module.name))
                .and(format!("the application uses it too, at {}; take another name", module.place)));
        }
        if let Some(other) = modules.iter().find(|other| other.name == module.name) {
            return Err(StartError::new(format!("two modules are called `{}`", module.name))
                .and(format!("one at {}", other.place))
                .and(format!("one at {}", module.place)));
        }
        // Whose API it takes comes before it, said or unsaid.
        for giver in needs.iter().filter_map(|need| parts.giver(need)) {
            let of_module = modules.iter().find(|other| giver == crate::module::giver(other.name));
            module.after.extend(of_module.map(|other| other.name));
        }
        for offer in std::mem::take(&mut module.offers) {
            if let Some(other) = (offer.give)(parts, module.name, serialised) {
                return Err(StartError::new(format!("the API `{}` is provided twice", offer.name))
                    .and(format!("by {other}"))
                    .and(format!("by module `{}` (at {})", module.name, module.place)));
            }
        }
        modules.push(module);
    }
    if !waiting.is_empty() {
        return Err(unfulfilled(&waiting, parts));
    }
    let nodes: Vec<Node> = modules
        .iter()
        .map(|module| Node {
            name: module.name.to_string(),
            after: module.after.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let order = order(&nodes).map_err(StartError::new)?;
    let mut modules: Vec<_> = modules.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| modules[at].take()).collect())
}

/// Refuses functions whose needs nobody can meet.
pub(crate) fn refuse_missing(
    what: &str,
    place: &dyn std::fmt::Display,
    needs: &[Need],
    parts: &Parts,
) -> Result<(), StartError> {
    let missing = parts.missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|need| format!("`{}`", need.name)).collect();
    let mut refused =
        StartError::new(format!("{what} (at {place}) asks for {}, which nothing provides", names.join(", ")));
    for need in &missing {
        refused = refused.and(remedy(need, &[]));
    }
    Err(refused)
}

fn unfulfilled(waiting: &[Declared], parts: &Parts) -> StartError {
    let mut refused = StartError::new(match waiting {
        [_] => "a module asks for what nothing provides".to_owned(),
        many => format!("{} modules ask for what nothing provides", many.len()),
    });
    for one in waiting {
        let missing = parts.missing(&one.needs);
        let names: Vec<_> = missing.iter().map(|need| format!("`{}`", need.name)).collect();
        refused = refused.and(format!("{} (at {}) asks for {}", one.function, one.place, names.join(", ")));
        for need in &missing {
            refused = refused.and(format!("  {}", remedy(need, waiting)));
        }
    }
    refused
}

/// What would provide a type, as far as its path tells.
fn remedy(need: &Need, waiting: &[Declared]) -> String {
    let module_of = |path: &'static str| path.rsplit_once("::").map_or("", |(module, _)| module);
    let short = need.name.rsplit("::").next().unwrap_or(need.name);
    // A type beside a module function that waits itself: the two may wait for each other.
    let neighbour = waiting.iter().find(|other| module_of(other.function) == module_of(need.name));
    match neighbour {
        Some(other) => format!(
            "{} lies beside it and would perhaps provide `{short}`, but waits itself: two modules cannot each take the \
             other's API; let one of them learn by an event, or split what both need into a third",
            other.function
        ),
        None if short.ends_with("Api") => {
            format!("add the module that says `.provides({short}::direct(..))` to the App")
        }
        None => format!(
            "if `{short}` is a section of the configuration, add `.config::<{short}>(\"name\")` to the App; if it is a \
             module's API, add the module; otherwise make it inside the module function"
        ),
    }
}
