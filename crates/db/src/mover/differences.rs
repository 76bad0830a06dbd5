//! What cannot be identical on the two engines, as far as this schema and these statements have to do with it. Pure.

use std::collections::BTreeSet;

use crate::{Engine, Stmt};

use super::encode::To;
use super::plan::{Move, TargetTable};

/// How many names a sentence lists before it says "and more".
const NAMED: usize = 8;

/// The sentences that apply.
pub(super) fn differences(
    moves: &[Move],
    target: &[TargetTable],
    virtual_tables: &[String],
    collation: &str,
    statements: &[Stmt],
) -> Vec<String> {
    let mut told = Vec::new();
    let columns = |wanted: fn(&To) -> bool| -> Vec<String> {
        let each = moves
            .iter()
            .flat_map(|table| table.columns.iter().map(|(column, to)| (&table.table, column, to)));
        each.filter(|(.., to)| wanted(to)).map(|(table, column, _)| format!("{table}.{column}")).collect()
    };
    let mut tell = |names: &[String], sentence: &str| {
        if !names.is_empty() {
            told.push(format!("{sentence}: {}", listed(names)));
        }
    };

    // Statements of one text for both engines; where there are two, somebody has thought about it.
    let shared = || statements.iter().filter(|stmt| is_shared(stmt));
    let named = |stmt: &Stmt| format!("`{}` ({})", stmt.name(), stmt.place());

    if !matches!(collation, "C" | "POSIX" | "C.UTF-8" | "C.utf8" | "ucs_basic") {
        let text: BTreeSet<&str> = moves
            .iter()
            .flat_map(|table| &table.columns)
            .filter(|(_, to)| matches!(to, To::Text | To::Padded))
            .map(|(column, _)| column.as_str())
            .collect();
        let sorting: Vec<_> = shared()
            .filter(|stmt| {
                ordered_by(stmt.sql(Engine::Sqlite)).iter().any(|word| text.contains(word.as_str()))
            })
            .map(named)
            .collect();
        tell(
            &sorting,
            &format!(
                "order of text: SQLite compares bytes (`Z` before `a`), this database the collation `{collation}`; \
                 statements that sort by text"
            ),
        );
    }

    let nullable: BTreeSet<&str> = target
        .iter()
        .filter(|table| moves.iter().any(|one| one.table == table.name))
        .flat_map(|table| {
            table.columns.iter().filter(|column| column.nullable).map(|column| column.name.as_str())
        })
        .collect();
    let sorting: Vec<_> = shared()
        .filter(|stmt| !words(stmt.sql(Engine::Sqlite)).iter().any(|word| word == "nulls"))
        .filter(|stmt| {
            ordered_by(stmt.sql(Engine::Sqlite)).iter().any(|word| nullable.contains(word.as_str()))
        })
        .map(named)
        .collect();
    tell(
        &sorting,
        "place of NULL: SQLite sorts it before every value, Postgres behind; write `nulls first` or `nulls last` in the \
         statements",
    );

    let like: Vec<_> = shared()
        .filter(|stmt| words(stmt.sql(Engine::Sqlite)).iter().any(|word| word == "like"))
        .map(named)
        .collect();
    tell(
        &like,
        "`like` overlooks the case of a to z on SQLite and heeds it on Postgres; statements that use it on both",
    );

    tell(
        &columns(|to| *to == To::Numeric),
        "decimals are text on SQLite (`10.00` sorts before `9.50`) and numbers on Postgres",
    );
    tell(
        &columns(|to| *to == To::Jsonb),
        "JSON documents keep their meaning, not their spelling: whitespace, order of keys and equal keys but the last go",
    );
    tell(&columns(|to| *to == To::Padded), "`char(n)` is filled up with spaces on Postgres");
    tell(
        &columns(|to| matches!(to, To::Other(_))),
        "types that SQLite does not have are compared by their text alone",
    );

    let identities: Vec<_> = target
        .iter()
        .filter_map(|table| {
            let moved = moves.iter().find(|one| one.table == table.name)?;
            let by_itself = table.columns.iter().find(|column| {
                column.filled
                    && matches!(column.to, To::Big | To::Int)
                    && moved.highest.is_none()
                    && moved.columns.first().is_some_and(|(first, _)| *first == column.name)
            })?;
            Some(format!("{}.{}", table.name, by_itself.name))
        })
        .collect();
    tell(&identities, "the id of a deleted last row is given again on SQLite, on Postgres it never is");
    tell(
        virtual_tables,
        "virtual tables are indexes of SQLite's own and are not copied; what the migrations make on Postgres in their \
         place may cut and rank words otherwise",
    );
    told
}

/// The statement is the same on both, but for how parameters are written.
fn is_shared(stmt: &Stmt) -> bool {
    stmt.sql(Engine::Sqlite).replace('?', "$") == stmt.sql(Engine::Postgres)
}

/// The words of a text, in small letters.
fn words(sql: &str) -> Vec<String> {
    let word = |char: char| !(char.is_alphanumeric() || char == '_');
    sql.split(word).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// The words behind the last `order by`: a column among them may be what is sorted by.
fn ordered_by(sql: &str) -> Vec<String> {
    let words = words(sql);
    let at = words.windows(2).rposition(|pair| pair[0] == "order" && pair[1] == "by");
    at.map(|at| words[at + 2..].to_vec()).unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    match names.len() {
        count if count > NAMED => format!("{} and {} more", names[..NAMED].join(", "), count - NAMED),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;
    use crate::mover::plan::TargetColumn;
    use crate::stmt::Place;

    fn stmt(sqlite: &'static str, postgres: &'static str) -> Stmt {
        Stmt::new("s", Place { file: "f.rs", line: 1 }, [sqlite, postgres], Class::Read, 1)
    }

    fn told(columns: &[(&str, To, bool)], statements: &[Stmt], collation: &str) -> String {
        let moves = [Move {
            table: "t".to_owned(),
            columns: columns.iter().map(|(name, to, _)| ((*name).to_owned(), to.clone())).collect(),
            highest: None,
        }];
        let column = |(name, to, nullable): &(&str, To, bool)| TargetColumn {
            name: (*name).to_owned(),
            to: to.clone(),
            nullable: *nullable,
            filled: false,
            generated: false,
        };
        let target = [TargetTable {
            name: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
            ..Default::default()
        }];
        differences(&moves, &target, &[], collation, statements).join("\n")
    }

    #[test]
    fn only_what_applies_is_told() {
        let plain = [("id", To::Big, false), ("name", To::Text, false), ("note", To::Text, true)];
        assert_eq!(
            told(&plain, &[stmt("select id from t order by id", "select id from t order by id")], "en_GB"),
            ""
        );
        let by_name = "select id from t where name = $1 order by name";
        let shared = || [stmt("select id from t where name = ?1 order by name", by_name)];
        assert!(
            told(&plain, &shared(), "en_GB").contains("order of text"),
            "{}",
            told(&plain, &shared(), "en_GB")
        );
        assert_eq!(told(&plain, &shared(), "C"), "");
        let by_note = "select id from t order by note desc";
        assert!(told(&plain, &[stmt(by_note, by_note)], "C").contains("place of NULL"));
        let settled = "select id from t order by note desc nulls last";
        assert_eq!(told(&plain, &[stmt(settled, settled)], "C"), "");
        let like = "select id from t where name like 'a%'";
        assert!(told(&plain, &[stmt(like, like)], "C").contains("`like`"));
        assert_eq!(told(&plain, &[stmt(like, "select id from t where name ilike 'a%'")], "C"), "");
        assert!(told(&[("price", To::Numeric, false)], &[], "C").contains("t.price"));
        assert!(told(&[("doc", To::Jsonb, false)], &[], "C").contains("t.doc"));
    }
}
