//! The whole document.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::operation::{Operation, reason};
use super::schemas::Schemas;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::route::{Describe, RouteInfo};
use crate::router::names;

/// What the document says about the API as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub title: String,
    /// Its version.
    pub version: String,
    /// What it is, for people.
    pub description: String,
}

/// The document of every route that is not hidden, as OpenAPI 3.1.
pub(crate) fn document<'a>(routes: impl Iterator<Item = (&'a RouteInfo, Describe)>, info: &Info) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.written::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    let mut ids: Map<String, Value> = Map::new();

    for (route, describe) in routes.filter(|(route, _)| !route.hidden) {
        let mut operation =
            Operation::new(&mut schemas, names(&route.path).iter().map(|name| name.to_string()).collect());
        describe(&mut operation);
        let described = described(route, operation, &mut ids);
        let path = paths.entry(template(&route.path)).or_insert_with(|| json!({}));
        path[method_name(&route.method)] = described;
    }

    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": info.title, "version": info.version },
        "paths": paths,
        "components": {
            "responses": {
                "Problem": {
                    "description": "What went wrong, and what to do about it (RFC 9457).",
                    "content": { PROBLEM_JSON: { "schema": problem } },
                },
            },
        },
    });
    if !info.description.is_empty() {
        document["info"]["description"] = json!(info.description);
    }
    let components = schemas.finish(&mut document);
    document["components"]["schemas"] = Value::Object(components);
    document
}

fn described(route: &RouteInfo, operation: Operation<'_>, ids: &mut Map<String, Value>) -> Value {
    let Operation { parameters, content, mut responses, reads_input, .. } = operation;
    if responses.is_empty() {
        responses.insert("200".into(), json!({ "description": reason(StatusCode::OK) }));
    }
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    if reads_input {
        responses.insert("422".into(), problem.clone());
    }
    responses.insert("default".into(), problem);

    let mut described = json!({ "operationId": unique(&route.name, ids), "responses": responses });
    described["summary"] = json!(sentence(&route.name));
    if !route.tags.is_empty() {
        described["tags"] = json!(route.tags);
    }
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if !content.is_empty() {
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

/// Ids must be unique in a document: the second `show` is `show_2`.
fn unique(name: &str, ids: &mut Map<String, Value>) -> String {
    let name: String =
        name.chars().map(|character| if character.is_alphanumeric() { character } else { '_' }).collect();
    let mut id = name.clone();
    let mut number = 1;
    while ids.contains_key(&id) {
        number += 1;
        id = format!("{name}_{number}");
    }
    ids.insert(id.clone(), Value::Null);
    id
}

/// `show_product` to "Show product".
fn sentence(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// OpenAPI has no `{*rest}`.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn method_name(method: &Method) -> String {
    method.as_str().to_ascii_lowercase()
}
