//! The schemas that operations refer to: what is read and what is written, under one set of names.

use std::collections::BTreeSet;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

const READ: &str = "#/components/schemas/";
/// Where written types are kept until [`Schemas::finish`] has compared them with those that are read.
const WRITTEN: &str = "#/components/written/";

/// Generators for both directions. A type may look different when it is read (a default may be left out) and when it
/// is written (it is always there).
pub(crate) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = |path: &'static str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings("/components/schemas").for_deserialize().into_generator(),
            written: settings("/components/written").for_serialize().into_generator(),
        }
    }

    pub(crate) fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    pub(crate) fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// What is read, looked up where it is only a reference.
    pub(crate) fn read_resolved<T: JsonSchema>(&mut self) -> Schema {
        let schema = self.read.subschema_for::<T>();
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(READ));
        let found = name.and_then(|name| self.read.definitions().get(name)).cloned();
        found.and_then(|value| Schema::try_from(value).ok()).unwrap_or(schema)
    }

    /// One map of components. A written type that looks as it does when read shares its name; another gets the name
    /// with `Output`. `document` is everything that refers to them.
    pub(crate) fn finish(mut self, document: &mut Value) -> Map<String, Value> {
        let mut components = self.read.take_definitions(true);
        let written = self.written.take_definitions(true);
        let differing = differing(&components, &written);
        let renamed = |name: &str| {
            if differing.contains(name) { format!("{READ}{name}Output") } else { format!("{READ}{name}") }
        };
        for (name, mut schema) in written {
            rename(&mut schema, &renamed);
            let name = if differing.contains(&name) { format!("{name}Output") } else { name };
            components.entry(name).or_insert(schema);
        }
        rename(document, &renamed);
        prune(components, document)
    }
}

/// Only what is referred to, from the document or from what is kept. A query's type, for example, is spread over
/// parameters and refers to nothing as a whole.
fn prune(mut components: Map<String, Value>, document: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut wanted = references(document, READ);
    while let Some(name) = wanted.pop() {
        let Some(schema) = components.remove(&name) else { continue };
        wanted.extend(references(&schema, READ));
        kept.insert(name, schema);
    }
    kept
}

/// The names of both that look different, or refer to such.
fn differing(read: &Map<String, Value>, written: &Map<String, Value>) -> BTreeSet<String> {
    let alike = |name: &String, schema: &Value| {
        let mut schema = schema.clone();
        rename(&mut schema, &|name| format!("{READ}{name}"));
        read.get(name).is_none_or(|read| *read == schema)
    };
    let mut differing: BTreeSet<String> =
        written.iter().filter(|(name, schema)| !alike(name, schema)).map(|(name, _)| name.clone()).collect();
    // Grows until nothing is added: at most once per name.
    loop {
        let more: Vec<String> = written
            .iter()
            .filter(|(name, schema)| {
                !differing.contains(*name)
                    && read.contains_key(*name)
                    && references(schema, WRITTEN).iter().any(|name| differing.contains(name))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return differing;
        }
        differing.extend(more);
    }
}

/// The names below `place` that are referred to.
fn references(value: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut value = value.clone();
    walk(&mut value, &mut |reference| found.extend(reference.strip_prefix(place).map(str::to_owned)));
    found
}

fn rename(value: &mut Value, renamed: &dyn Fn(&str) -> String) {
    walk(value, &mut |reference| {
        if let Some(name) = reference.strip_prefix(WRITTEN) {
            *reference = renamed(name);
        }
    });
}

/// Every `$ref`, in place.
fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "$ref" => visit(text),
                    other => walk(other, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
