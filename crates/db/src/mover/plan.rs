//! What goes where, and in which order: the tables of one side against those of the other. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::encode::To;

/// A table of the SQLite file.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceTable {
    pub(super) name: String,
    /// Columns that are stored; what is generated is not among them.
    pub(super) columns: Vec<String>,
    pub(super) rows: u64,
    /// The highest id that `autoincrement` ever gave, which may be gone again.
    pub(super) highest: Option<i64>,
}

/// A table of the target.
#[derive(Debug, Clone, Default)]
pub(super) struct TargetTable {
    pub(super) name: String,
    pub(super) columns: Vec<TargetColumn>,
    /// The tables that it refers to, itself left out, and those constraints that wait for the commit.
    pub(super) refers_to: BTreeSet<String>,
}

/// A column of the target.
#[derive(Debug, Clone)]
pub(super) struct TargetColumn {
    pub(super) name: String,
    pub(super) to: To,
    pub(super) nullable: bool,
    /// Postgres fills it by itself when nothing is said: a default, an identity.
    pub(super) filled: bool,
    pub(super) generated: bool,
}

/// A table to be moved.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) table: String,
    pub(super) columns: Vec<(String, To)>,
    pub(super) highest: Option<i64>,
}

/// Tables whose rows are not copied, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The table.
    pub table: String,
    /// Why its rows stay where they are.
    pub why: String,
}

/// The tables in the order in which they are filled, and those that are left.
///
/// # Errors
/// A sentence for each thing that would be lost.
pub(super) fn plan(
    source: &[SourceTable],
    target: &[TargetTable],
    leave: &[String],
) -> Result<(Vec<Move>, Vec<Left>), Vec<String>> {
    let mut wrong = Vec::new();
    for name in leave.iter().filter(|name| !source.iter().any(|table| table.name == **name)) {
        wrong.push(format!("`{name}` is to be left out, and there is no such table"));
    }
    let mut left = Vec::new();
    let mut moves = BTreeMap::new();
    for table in source {
        let gone = |why: &str| Left { table: table.name.clone(), why: why.to_owned() };
        if leave.contains(&table.name) {
            left.push(gone("left out as you said"));
            continue;
        }
        let Some(to) = target.iter().find(|to| to.name == table.name) else {
            match table.rows {
                0 => left.push(gone("the target has no such table, and it is empty")),
                rows => wrong.push(format!(
                    "`{}` has {rows} rows, and the application's migrations make no such table on Postgres; leave it out \
                     with `--leave {}`",
                    table.name, table.name
                )),
            }
            continue;
        };
        match columns(table, to) {
            Ok(columns) => {
                let highest = table.highest;
                moves.insert(table.name.as_str(), Move { table: table.name.clone(), columns, highest });
            }
            Err(more) => wrong.extend(more),
        }
    }
    let order = order(&moves.keys().copied().collect::<Vec<_>>(), target);
    let order = order.map_err(|circle| wrong.push(circle)).unwrap_or_default();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok((order.iter().filter_map(|name| moves.remove(name.as_str())).collect(), left))
}

fn columns(from: &SourceTable, to: &TargetTable) -> Result<Vec<(String, To)>, Vec<String>> {
    let mut wrong = Vec::new();
    let mut both = Vec::new();
    for name in &from.columns {
        match to.columns.iter().find(|column| column.name == *name) {
            // Postgres computes it from the others.
            Some(column) if column.generated => {}
            Some(column) => both.push((name.clone(), column.to.clone())),
            None => wrong.push(format!(
                "`{}.{name}` does not exist on Postgres, and its values would be lost",
                from.name
            )),
        }
    }
    for column in &to.columns {
        let comes =
            from.columns.contains(&column.name) || column.generated || column.filled || column.nullable;
        if !comes {
            wrong.push(format!(
                "`{}.{}` must be filled on Postgres, and SQLite has no such column",
                to.name, column.name
            ));
        }
    }
    if wrong.is_empty() { Ok(both) } else { Err(wrong) }
}

/// Every table behind those that it refers to.
fn order(tables: &[&str], target: &[TargetTable]) -> Result<Vec<String>, String> {
    let mut ordered: Vec<String> = Vec::with_capacity(tables.len());
    while ordered.len() < tables.len() {
        let waits = |name: &str| {
            let to = target.iter().find(|table| table.name == name);
            to.is_some_and(|to| {
                to.refers_to.iter().any(|other| tables.contains(&other.as_str()) && !ordered.contains(other))
            })
        };
        let next = tables.iter().find(|name| !ordered.iter().any(|done| done == **name) && !waits(name));
        match next {
            Some(name) => ordered.push((*name).to_owned()),
            None => {
                let stuck: Vec<_> = tables
                    .iter()
                    .filter(|name| !ordered.iter().any(|done| done == **name))
                    .copied()
                    .collect();
                return Err(format!(
                    "the tables {} refer to each other in a circle, so that none can be filled first; make one of the \
                     constraints on Postgres `deferrable`",
                    stuck.join(", ")
                ));
            }
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(name: &str, columns: &[&str], rows: u64) -> SourceTable {
        SourceTable {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows,
            highest: None,
        }
    }

    fn to(name: &str, columns: &[&str], refers_to: &[&str]) -> TargetTable {
        let column = |name: &&str| TargetColumn {
            name: name.trim_end_matches(['?', '=']).to_owned(),
            to: To::Text,
            nullable: name.ends_with('?'),
            filled: false,
            generated: name.ends_with('='),
        };
        TargetTable {
            name: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            refers_to: refers_to.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_table_comes_after_those_it_refers_to() {
        let source = [from("a", &["x"], 1), from("b", &["x"], 1), from("c", &["x"], 0)];
        let target = [to("a", &["x"], &["b"]), to("b", &["x"], &["c", "elsewhere"]), to("c", &["x"], &[])];
        let (moves, left) = plan(&source, &target, &[]).unwrap();
        assert_eq!(moves.iter().map(|table| table.table.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(left, []);
    }

    #[test]
    fn a_circle_is_refused_with_its_remedy() {
        let source = [from("a", &["x"], 1), from("b", &["x"], 1)];
        let target = [to("a", &["x"], &["b"]), to("b", &["x"], &["a"])];
        let wrong = plan(&source, &target, &[]).unwrap_err();
        assert!(wrong[0].contains("a, b") && wrong[0].contains("deferrable"), "{wrong:?}");
    }

    #[test]
    fn what_would_be_lost_is_refused_and_what_is_made_anew_is_not_copied() {
        let source = [from("a", &["x", "y", "gone"], 1), from("extra", &["x"], 3), from("empty", &["x"], 0)];
        let target = [to("a", &["x", "y=", "more", "maybe?"], &[])];
        let wrong = plan(&source, &target, &[]).unwrap_err().join("\n");
        for told in ["`a.gone`", "`a.more`", "`extra` has 3 rows", "--leave extra"] {
            assert!(wrong.contains(told), "{wrong}");
        }
        let source = [from("a", &["x", "y"], 1), from("extra", &["x"], 3), from("empty", &["x"], 0)];
        let target = [to("a", &["x", "y=", "maybe?"], &[])];
        let (moves, left) = plan(&source, &target, &["extra".to_owned()]).unwrap();
        assert_eq!(moves[0].columns, [("x".to_owned(), To::Text)]);
        assert_eq!(left.iter().map(|left| left.table.as_str()).collect::<Vec<_>>(), ["extra", "empty"]);
        assert!(
            plan(&source, &target, &["nothing".to_owned()]).unwrap_err().join("").contains("no such table")
        );
    }
}
