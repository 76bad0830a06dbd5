//! Many rows at once.
//!
//! What this is: the fast way for rows of one shape into one table. On Postgres a chunk is one statement over arrays,
//! `insert .. select * from unnest(..)`, whose text does not depend on the number of rows; on SQLite a chunk is one
//! hop to the writer, which runs one prepared insert per row; [`Bulk::copy`] is Postgres's own way. What it is not: an import tool; it knows nothing of files.
//!
//! All rows are there in the end, or none: in the transaction it is given, or in one of its own.

use std::panic::Location;
use std::sync::Arc;

use burgeon_core::Result;

use crate::on::{On, Session, Target};
use crate::postgres::called;
use crate::query::Writes;
use crate::sqlite::Tape;
use crate::stmt::{Class, Dynamic, Place, Text};
use crate::{Engine, Fault, Param, Tx, Type, Value};

/// How many rows travel together: enough to make the round trip cheap, little enough to hold in memory twice.
const CHUNK: usize = 2_000;

/// A row to be inserted: a tuple of parameters, in the order of the columns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be inserted as a row",
    note = "a row is a tuple of 1 to 16 parameters, in the order of the columns"
)]
pub trait Record {
    /// The type of each column.
    const TYPES: &'static [Type];

    /// Hands the values over, in order.
    fn each(self, take: impl FnMut(Value));
}

/// Rows in the form in which their engine takes them.
pub(crate) enum Rows {
    /// For SQLite's writer.
    Tape(Tape),
    /// For the lists of Postgres, one per column.
    Columns(Vec<Vec<Value>>),
}

impl Rows {
    /// For so many rows of so many columns.
    pub(crate) fn with_room(engine: Engine, columns: usize, rows: usize) -> Self {
        match engine {
            Engine::Postgres => Rows::Columns((0..columns).map(|_| Vec::with_capacity(rows)).collect()),
            Engine::Sqlite => Rows::Tape(Tape::with_room(columns * rows)),
        }
    }

    /// The next value of a column; columns in order, row by row.
    pub(crate) fn put(&mut self, column: usize, value: Value) {
        match self {
            Rows::Tape(tape) => tape.push(value),
            Rows::Columns(columns) => columns[column].push(value),
        }
    }
}

/// The next rows of a caller's.
struct Chunk {
    rows: Rows,
    count: usize,
}

/// Inserts many rows into a table. Made by [`bulk`].
#[derive(Debug, Clone)]
#[must_use = "nothing is inserted until `insert` is awaited"]
pub struct Bulk {
    name: &'static str,
    place: Place,
    table: &'static str,
    columns: Vec<&'static str>,
    conflict: Conflict,
}

#[derive(Debug, Clone)]
enum Conflict {
    Fails,
    Nothing(Vec<&'static str>),
    Update { key: Vec<&'static str>, set: Vec<&'static str> },
}

/// Rows into the `columns` of `table`, under the name that meters and errors call it by.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Money, Result};
/// # use burgeon_db::{Db, bulk};
/// # async fn example(db: &Db, ctx: &Ctx, lines: Vec<(String, i32, Money)>) -> Result<u64> {
/// db.tx(ctx, async |tx| {
///     bulk("import_lines", "orders_line", ["invoice", "position", "price"])
///         .on_conflict_do_nothing(["invoice", "position"])
///         .insert(tx, lines)
///         .await
/// })
/// .await
/// # }
/// ```
#[track_caller]
pub fn bulk(
    name: &'static str,
    table: &'static str,
    columns: impl IntoIterator<Item = &'static str>,
) -> Bulk {
    let place = Location::caller().into();
    Bulk { name, place, table, columns: columns.into_iter().collect(), conflict: Conflict::Fails }
}

impl Bulk {
    /// Leaves rows out whose key is there already. `key` is the columns of a unique index.
    pub fn on_conflict_do_nothing(mut self, key: impl IntoIterator<Item = &'static str>) -> Self {
        self.conflict = Conflict::Nothing(key.into_iter().collect());
        self
    }

    /// Overwrites the columns `set` of rows whose key is there already. A key may occur once per call: Postgres
    /// refuses to touch a row twice in one statement.
    pub fn on_conflict_update(
        mut self,
        key: impl IntoIterator<Item = &'static str>,
        set: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        self.conflict = Conflict::Update { key: key.into_iter().collect(), set: set.into_iter().collect() };
        self
    }

    /// Inserts the rows and answers how many were really inserted, or overwritten: those left out do not count.
    ///
    /// `on` is the `tx` of [`Db::tx`](crate::Db::tx) or `&db.write(&ctx)`; on the latter the rows are a transaction of their own. Rows are taken
    /// from the iterator a chunk of 2,000 at a time, so in a transaction it may be longer than memory.
    ///
    /// # Errors
    /// [`Fault::Statement`] when a name is none or their number is not the tuple's; what the database makes of the rows.
    pub async fn insert<R: Record>(
        &self,
        on: &impl On<Writes>,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<u64> {
        match on.target() {
            Target::Within(tx) => self.insert_within(tx, None, rows.into_iter()).await,
            Target::Alone(db, ctx, _) => {
                let mut rows = rows.into_iter();
                let first = Chunk::next(db.engine(), &mut rows);
                if first.count < CHUNK {
                    // One statement is a transaction by itself, without the round trips to begin and to end one.
                    return self.send(&on.target(), db.engine(), R::TYPES, first).await;
                }
                db.tx_at(ctx, self.place, async |tx| self.insert_within(tx, Some(first), rows).await).await
            }
        }
    }

    /// As [`insert`](Self::insert), by Postgres's own way for many rows, a binary `copy`: one statement however many rows
    /// there are, which are sent while later ones are taken from the iterator. On SQLite no different from `insert`. For
    /// imports: in a transaction, and without a conflict clause.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); [`Fault::Statement`] when a conflict clause was given.
    pub async fn copy<R: Record>(&self, tx: &Tx, rows: impl IntoIterator<Item = R>) -> Result<u64> {
        if !matches!(self.conflict, Conflict::Fails) {
            let why = "copy knows no conflict clause; use insert".to_owned();
            return Err(Fault::Statement { why }.at(self.name, self.place));
        }
        let mut rows = rows.into_iter();
        let Session::Postgres(_) = tx.session().map_err(|fault| fault.at(self.name, self.place))? else {
            return self.insert_within(tx, None, rows).await;
        };
        let text = self.copy_text(R::TYPES).map_err(|fault| fault.at(self.name, self.place))?;
        Target::Within(tx).copy(text, R::TYPES, || values(&mut rows)).await
    }

    fn copy_text(&self, types: &[Type]) -> Result<Text, Fault> {
        self.fits(types)?;
        let sql =
            format!("copy {} ({}) from stdin (format binary)", quoted(self.table)?, list(&self.columns)?);
        Ok(Text::Dynamic(Arc::new(Dynamic { name: self.name, place: self.place, sql, class: Class::Write })))
    }

    fn fits(&self, types: &[Type]) -> Result<(), Fault> {
        if self.columns.len() == types.len() {
            return Ok(());
        }
        let why = format!("{} columns are named, and the rows have {}", self.columns.len(), types.len());
        Err(Fault::Statement { why })
    }

    /// All chunks in this transaction; `first` was taken from the iterator already.
    async fn insert_within<R: Record>(
        &self,
        tx: &Tx,
        first: Option<Chunk>,
        mut rows: impl Iterator<Item = R>,
    ) -> Result<u64> {
        let engine = tx.db().engine();
        let mut inserted = 0;
        let mut next = first.unwrap_or_else(|| Chunk::next(engine, &mut rows));
        while next.count > 0 {
            inserted += self.send(&Target::Within(tx), engine, R::TYPES, next).await?;
            next = Chunk::next(engine, &mut rows);
        }
        Ok(inserted)
    }

    async fn send(
        &self,
        target: &Target<'_>,
        engine: Engine,
        types: &'static [Type],
        chunk: Chunk,
    ) -> Result<u64> {
        let text = self.text(engine, types).map_err(|fault| fault.at(self.name, self.place))?;
        if chunk.count == 0 {
            return Ok(0);
        }
        target.insert_many(text, types, chunk.rows).await
    }

    fn text(&self, engine: Engine, types: &[Type]) -> Result<Text, Fault> {
        self.fits(types)?;
        let table = quoted(self.table)?;
        let columns = list(&self.columns)?;
        let mut sql = match engine {
            Engine::Sqlite => {
                let places: Vec<_> = (1..=types.len()).map(|number| format!("?{number}")).collect();
                format!("insert into {table} ({columns}) values ({})", places.join(", "))
            }
            Engine::Postgres => {
                let lists = types.iter().enumerate();
                let lists: Vec<_> =
                    lists.map(|(index, of)| format!("${}::{}[]", index + 1, called(*of))).collect();
                format!("insert into {table} ({columns}) select * from unnest({})", lists.join(", "))
            }
        };
        match &self.conflict {
            Conflict::Fails => {}
            Conflict::Nothing(key) => sql.push_str(&format!(" on conflict ({}) do nothing", list(key)?)),
            Conflict::Update { key, set } => {
                let set: Result<Vec<_>, Fault> =
                    set.iter().map(|column| quoted(column).map(|c| format!("{c} = excluded.{c}"))).collect();
                sql.push_str(&format!(" on conflict ({}) do update set {}", list(key)?, set?.join(", ")));
            }
        }
        Ok(Text::Dynamic(Arc::new(Dynamic { name: self.name, place: self.place, sql, class: Class::Write })))
    }
}

/// The values of the next rows, one after the other.
fn values<R: Record>(rows: &mut impl Iterator<Item = R>) -> Vec<Value> {
    let mut values = Vec::with_capacity(R::TYPES.len() * CHUNK.min(rows.size_hint().0.max(1)));
    for row in rows.by_ref().take(CHUNK) {
        row.each(|value| values.push(value));
    }
    values
}

impl Chunk {
    fn next<R: Record>(engine: Engine, rows: &mut impl Iterator<Item = R>) -> Self {
        let room = CHUNK.min(rows.size_hint().0.max(1));
        let mut chunk = Self { rows: Rows::with_room(engine, R::TYPES.len(), room), count: 0 };
        for row in rows.by_ref().take(CHUNK) {
            let mut column = 0;
            row.each(|value| {
                chunk.rows.put(column, value);
                column += 1;
            });
            chunk.count += 1;
        }
        chunk
    }
}

/// A name as SQL writes it. Names come from the program, not from a request; they are checked all the same.
pub(crate) fn quoted(name: &str) -> Result<String, Fault> {
    let plain = |part: &str| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && part.len() <= 63
    };
    if !name.split('.').all(plain) {
        return Err(Fault::Statement { why: format!("`{name}` is no name of a table or column") });
    }
    Ok(name.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join("."))
}

fn list(names: &[&str]) -> Result<String, Fault> {
    let quoted: Result<Vec<_>, Fault> = names.iter().map(|name| quoted(name)).collect();
    Ok(quoted?.join(", "))
}

macro_rules! records {
    ($(($($name:ident $index:tt),+))*) => {$(
        impl<$($name: Param),+> Record for ($($name,)+) {
            const TYPES: &'static [Type] = &[$($name::TYPE),+];

            #[inline]
            fn each(self, mut take: impl FnMut(Value)) {
                $(take(self.$index.into_value());)+
            }
        }
    )*};
}

records! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_what_is_no_name_is_refused() {
        assert_eq!(quoted("orders_line").unwrap(), "\"orders_line\"");
        assert_eq!(quoted("shop.Line2").unwrap(), "\"shop\".\"Line2\"");
        for name in ["", "a b", "a\"", "1a", "a.", "a;drop", &"x".repeat(64)] {
            assert!(quoted(name).is_err(), "{name}");
        }
    }
}
