//! What an API document says about the types of this crate. Here, because nobody else may say it of them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{Field, Money, Secret};

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "burgeon_core::Money".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An amount of money with at most four decimals.",
            "pattern": r"^-?[0-9]+(\.[0-9]{1,4})?$",
            "examples": ["2.55"],
        })
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "burgeon_core::Secret".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password" })
    }
}

impl JsonSchema for Field {
    fn schema_name() -> Cow<'static, str> {
        "RefusedField".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "burgeon_core::Field".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "One field of the input that was refused, and why.",
            "properties": {
                "field": { "type": "string", "description": "Path of the field as it was sent: `lines[2].quantity`." },
                "message": { "type": "string", "description": "What is wrong with it, for people." },
            },
            "required": ["field", "message"],
        })
    }
}
