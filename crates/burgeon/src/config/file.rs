//! `burgeon.toml` as a tree that knows its lines.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::tree::{Node, Origin, Value};

/// Reads TOML. `name` is how the file is called in messages.
pub(super) fn parse(name: &Path, text: &str) -> Result<Node, Problem> {
    let lines = Lines::of(name, text);
    let table = DeTable::parse(text).map_err(|error| {
        let origin = lines.at(error.span().map_or(0, |span| span.start));
        Problem::at(origin, format!("is not TOML: {}", error.message()))
    })?;
    lines.table(table.get_ref(), Origin::File(name.to_owned(), 1))
}

/// Where each line begins.
struct Lines<'a> {
    name: &'a Path,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(name: &'a Path, text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, starts }
    }

    fn at(&self, offset: usize) -> Origin {
        Origin::File(self.name.to_owned(), self.starts.partition_point(|start| *start <= offset))
    }

    fn table(&self, table: &DeTable<'_>, origin: Origin) -> Result<Node, Problem> {
        let entries = table
            .iter()
            .map(|(key, value)| {
                // The key's line, not the value's: a table's value may begin anywhere.
                let origin = self.at(key.span().start);
                Ok((key.get_ref().to_string(), self.node(value, origin)?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Node { value: Value::Table(entries), origin })
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, origin: Origin) -> Result<Node, Problem> {
        let value = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, origin),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.node(item, self.at(item.span().start)))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(moment) => Value::Text(moment.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let number = i64::from_str_radix(&digits, number.radix());
                Value::Integer(number.map_err(|_| {
                    Problem::at(origin.clone(), format!("`{digits}` is beyond the range of whole numbers"))
                })?)
            }
            DeValue::Float(number) => {
                let digits = number.as_str().replace('_', "");
                let number = digits.parse();
                Value::Float(
                    number.map_err(|_| Problem::at(origin.clone(), format!("`{digits}` is not a number")))?,
                )
            }
        };
        Ok(Node { value, origin })
    }
}
