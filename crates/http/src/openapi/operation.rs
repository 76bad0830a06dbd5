//! What extractors and replies say about their operation.

use http::StatusCode;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::schemas::Schemas;

/// One operation of the API document while its handler's types describe it.
pub struct Operation<'a> {
    schemas: &'a mut Schemas,
    path_names: Vec<String>,
    pub(super) parameters: Vec<Value>,
    pub(super) content: Map<String, Value>,
    pub(super) responses: Map<String, Value>,
    pub(super) reads_input: bool,
}

impl<'a> Operation<'a> {
    pub(super) fn new(schemas: &'a mut Schemas, path_names: Vec<String>) -> Self {
        Self {
            schemas,
            path_names,
            parameters: Vec::new(),
            content: Map::new(),
            responses: Map::new(),
            reads_input: false,
        }
    }

    /// The parts of the path are read as a `T`: one value, a tuple by position, or a struct by name.
    pub fn path_parameters<T: JsonSchema>(&mut self) {
        let whole = self.schemas.read::<T>();
        let resolved = self.schemas.read_resolved::<T>();
        let properties = resolved.get("properties").and_then(Value::as_object);
        let positions = resolved.get("prefixItems").and_then(Value::as_array);
        for (index, name) in self.path_names.clone().into_iter().enumerate() {
            let schema = match (properties, positions) {
                (Some(properties), _) => properties.get(&name).cloned(),
                (_, Some(positions)) => positions.get(index).cloned(),
                _ => Some(whole.clone()),
            };
            self.parameter("path", &name, true, schema.unwrap_or_else(any_text));
        }
    }

    /// The query is read as a `T`.
    pub fn query_parameters<T: JsonSchema>(&mut self) {
        self.reads_input = true;
        let resolved = self.schemas.read_resolved::<T>();
        let required = required(&resolved);
        let properties = resolved.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, schema) in properties {
            let required = required.contains(&name);
            self.parameter("query", &name, required, schema);
        }
    }

    /// A header is read.
    pub fn header_parameter(&mut self, name: &str, required: bool) {
        self.parameter("header", name, required, any_text());
    }

    /// The body is read as a `T` of this content type.
    pub fn body<T: JsonSchema>(&mut self, content_type: &str) {
        let schema = self.schemas.read::<T>();
        self.body_of(content_type, schema);
        self.reads_input = true;
    }

    /// The body is read; `schema` describes it.
    pub fn body_of(&mut self, content_type: &str, schema: Value) {
        self.content.insert(content_type.to_owned(), json!({ "schema": schema }));
    }

    /// A `T` is answered with this status and content type.
    pub fn response<T: JsonSchema>(&mut self, status: StatusCode, content_type: &str) {
        let schema = self.schemas.written::<T>();
        self.response_of(status, content_type, schema);
    }

    /// `schema` describes what is answered.
    pub fn response_of(&mut self, status: StatusCode, content_type: &str, schema: Value) {
        let content = json!({ content_type: { "schema": schema } });
        let response = json!({ "description": reason(status), "content": content });
        self.responses.insert(status.as_str().to_owned(), response);
    }

    /// Nothing is answered but the status.
    pub fn response_empty(&mut self, status: StatusCode) {
        self.responses.insert(status.as_str().to_owned(), json!({ "description": reason(status) }));
    }

    fn parameter(&mut self, place: &str, name: &str, required: bool, mut schema: Value) {
        // Two extractors may read the same part; it is one parameter.
        let same = |known: &Value| known["in"] == place && known["name"] == name;
        if self.parameters.iter().any(same) {
            return;
        }
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        self.parameters.push(parameter);
    }
}

impl std::fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("path_names", &self.path_names).finish_non_exhaustive()
    }
}

fn any_text() -> Value {
    json!({ "type": "string" })
}

fn required(schema: &Schema) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

pub(super) fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("An answer")
}
