//! The page for people, from the document alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::page::escape;

const STYLE: &str = include_str!("style.css");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One operation with where it is.
struct Entry<'a> {
    method: &'static str,
    path: &'a str,
    operation: &'a Value,
}

impl Entry<'_> {
    fn id(&self) -> String {
        escape(text(&self.operation["operationId"]))
    }
}

pub(super) fn render(document: &Value) -> String {
    let groups = groups(document);
    let title = escape(text(&document["info"]["title"]));
    let version = escape(text(&document["info"]["version"]));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} API</title>\
         <link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><a class=\"skip\" href=\"#operations\">Skip to the operations</a>\
         <div class=\"layout\"><nav aria-label=\"Operations\">"
    );
    for (group, entries) in &groups {
        let _ = write!(page, "<h2>{}</h2><ul>", escape(group));
        for entry in entries {
            let (id, method, summary) = (entry.id(), entry.method, escape(text(&entry.operation["summary"])));
            let _ = write!(
                page,
                "<li><a href=\"#{id}\"><span class=\"method {method}\">{}</span><span>{summary}</span></a></li>",
                method.to_uppercase()
            );
        }
        page.push_str("</ul>");
    }
    page.push_str("<h2>Types</h2><ul>");
    for (name, _) in object(&document["components"]["schemas"]) {
        let name = escape(name);
        let _ = write!(page, "<li><a href=\"#type-{name}\">{name}</a></li>");
    }
    let _ = write!(
        page,
        "</ul></nav><main id=\"operations\" tabindex=\"-1\"><header><h1>{title}</h1><p>Version {version} \
         &middot; <a href=\"openapi.json\">openapi.json</a></p><p>{}</p></header>",
        escape(text(&document["info"]["description"]))
    );
    for (group, entries) in &groups {
        let _ = write!(page, "<section class=\"group\"><h2>{}</h2>", escape(group));
        for entry in entries {
            operation(&mut page, entry);
        }
        page.push_str("</section>");
    }
    page.push_str("<section class=\"group\"><h2>Types</h2>");
    for (name, schema) in object(&document["components"]["schemas"]) {
        let name = escape(name);
        let _ = write!(page, "<article class=\"schema\" id=\"type-{name}\"><h3>{name}</h3>");
        description(&mut page, schema);
        if schema.get("properties").is_some() {
            properties(&mut page, schema);
        } else {
            let _ = write!(page, "<p class=\"summary\">{}</p>", type_of(schema));
        }
        page.push_str("</article>");
    }
    page.push_str(
        "</section><footer>Derived from the handlers' own types. Every failure is \
         <code>application/problem+json</code> (RFC 9457).</footer></main></div></body></html>",
    );
    page
}

/// Operations by their first tag; those without one come under "Operations".
fn groups(document: &Value) -> BTreeMap<&str, Vec<Entry<'_>>> {
    let mut groups: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
    for (path, item) in object(&document["paths"]) {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let group = operation["tags"][0].as_str().unwrap_or("Operations");
            groups.entry(group).or_default().push(Entry { method, path, operation });
        }
    }
    groups
}

fn operation(page: &mut String, entry: &Entry<'_>) {
    let (id, method) = (entry.id(), entry.method);
    let path = escape(entry.path).replace('{', "<i>{").replace('}', "}</i>");
    let _ = write!(
        page,
        "<article id=\"{id}\"><h3><span class=\"method {method}\">{}</span><a href=\"#{id}\">\
         <span class=\"path\">{path}</span></a></h3><p class=\"summary\">{}</p>",
        method.to_uppercase(),
        escape(text(&entry.operation["summary"])),
    );
    let parameters = entry.operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        page.push_str("<h4>Parameters</h4><div class=\"scroll\"><table><tr><th>Name</th><th>In</th><th>Type</th><th></th></tr>");
        for parameter in parameters {
            let _ = write!(
                page,
                "<tr><td><code>{}</code>{}</td><td class=\"type\">{}</td><td class=\"type\">{}</td><td>",
                escape(text(&parameter["name"])),
                must(parameter["required"] == true),
                escape(text(&parameter["in"])),
                type_of(&parameter["schema"]),
            );
            description(page, parameter);
            page.push_str("</td></tr>");
        }
        page.push_str("</table></div>");
    }
    for (content_type, media) in object(&entry.operation["requestBody"]["content"]) {
        let _ = write!(
            page,
            "<h4>Body</h4><p>{} <code>{}</code></p>",
            type_of(&media["schema"]),
            escape(content_type)
        );
    }
    page.push_str("<h4>Answers</h4><div class=\"scroll\"><table class=\"answers\">");
    for (status, response) in object(&entry.operation["responses"]) {
        let (what, content) = match response.get("$ref") {
            Some(_) => ("A problem".to_owned(), type_link("Problem")),
            None => (escape(text(&response["description"])), contents(response)),
        };
        let status = if status == "default" { "otherwise" } else { status };
        let _ = write!(
            page,
            "<tr><td class=\"status\">{}</td><td>{what}</td><td class=\"type\">{content}</td></tr>",
            escape(status)
        );
    }
    page.push_str("</table></div></article>");
}

fn contents(response: &Value) -> String {
    let all = object(&response["content"]).map(|(content_type, media)| match content_type {
        "application/json" => type_of(&media["schema"]),
        other => format!("<code>{}</code>", escape(other)),
    });
    all.collect::<Vec<_>>().join(" or ")
}

fn properties(page: &mut String, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("<div class=\"scroll\"><table><tr><th>Name</th><th>Type</th><th></th></tr>");
    for (name, property) in object(&schema["properties"]) {
        let _ = write!(
            page,
            "<tr><td><code>{}</code>{}</td><td class=\"type\">{}</td><td>",
            escape(name),
            must(required.contains(&name)),
            type_of(property)
        );
        description(page, property);
        page.push_str("</td></tr>");
    }
    page.push_str("</table></div>");
}

/// A schema in a few words, as HTML.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return type_link(name);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> =
            values.iter().map(|value| format!("<code>{}</code>", escape(&plain(value)))).collect();
        return values.join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&plain(value)));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(several) = schema[key].as_array() {
            let several: Vec<_> = several.iter().map(type_of).collect();
            return several.join(if key == "allOf" { " and " } else { " or " });
        }
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let words: Vec<String> = names.into_iter().map(|name| type_word(name, schema)).collect();
    words.join(" or ")
}

fn type_word(name: &str, schema: &Value) -> String {
    match name {
        "null" => "nothing".to_owned(),
        "array" if schema.get("items").is_some() => format!("list of {}", type_of(&schema["items"])),
        "array" => "list".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", type_of(&schema["additionalProperties"]))
        }
        _ => match schema["format"].as_str() {
            Some(format) => format!("{} ({})", escape(name), escape(format)),
            None => escape(name),
        },
    }
}

fn type_link(name: &str) -> String {
    let name = escape(name);
    format!("<a href=\"#type-{name}\">{name}</a>")
}

fn must(required: bool) -> &'static str {
    if required { " <span class=\"must\">required</span>" } else { "" }
}

fn description(page: &mut String, of: &Value) {
    if let Some(description) = of["description"].as_str() {
        let _ = write!(page, "<p>{}</p>", escape(description));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}
