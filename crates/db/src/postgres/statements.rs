//! What is remembered of each statement, the least recently used one forgotten first.

use std::collections::HashMap;

use crate::stmt::Text;
use crate::{Engine, STATEMENTS};

/// Something known by statement: what a connection has prepared, how a text is spelt. Bounded.
///
/// The driver closes a prepared statement when its last handle is dropped, so evicting is forgetting.
pub(super) struct Statements<T> {
    /// A static's number is its place.
    known: Vec<Option<Entry<T>>>,
    /// Texts that were made at run time.
    made: HashMap<Box<str>, Entry<T>>,
    len: usize,
    limit: usize,
    turn: u64,
}

struct Entry<T> {
    what: T,
    used: u64,
}

/// Where an entry is kept.
enum Key {
    Known(usize),
    Made(Box<str>),
}

impl<T: Clone> Statements<T> {
    pub(super) fn new(limit: usize) -> Self {
        let known = (0..STATEMENTS.len()).map(|_| None).collect();
        Self { known, made: HashMap::new(), len: 0, limit: limit.max(1), turn: 0 }
    }

    pub(super) fn get(&mut self, text: &Text) -> Option<T> {
        self.turn += 1;
        let entry = match text.id() {
            Some(id) => self.known.get_mut(id)?.as_mut(),
            None => self.made.get_mut(text.sql(Engine::Postgres)),
        }?;
        entry.used = self.turn;
        Some(entry.what.clone())
    }

    pub(super) fn insert(&mut self, text: &Text, what: T) {
        self.remove(text);
        if self.len >= self.limit {
            self.evict();
        }
        self.turn += 1;
        self.len += 1;
        let entry = Entry { what, used: self.turn };
        match text.id().and_then(|id| self.known.get_mut(id)) {
            Some(place) => *place = Some(entry),
            None => {
                self.made.insert(text.sql(Engine::Postgres).into(), entry);
            }
        }
    }

    pub(super) fn remove(&mut self, text: &Text) {
        let gone = match text.id().and_then(|id| self.known.get_mut(id)) {
            Some(place) => place.take(),
            None => self.made.remove(text.sql(Engine::Postgres)),
        };
        self.len -= usize::from(gone.is_some());
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    // A walk over some hundred entries, and only once the limit is reached: next to preparing, it costs nothing.
    fn evict(&mut self) {
        let known = self.known.iter().enumerate().filter_map(|(id, entry)| Some((entry.as_ref()?.used, id)));
        let made = self.made.iter().map(|(sql, entry)| (entry.used, sql));
        let oldest = match (known.min(), made.min()) {
            (Some((known, id)), Some((made, _))) if known < made => Key::Known(id),
            (_, Some((_, sql))) => Key::Made(sql.clone()),
            (Some((_, id)), None) => Key::Known(id),
            (None, None) => return,
        };
        match oldest {
            Key::Known(id) => self.known[id] = None,
            Key::Made(sql) => drop(self.made.remove(&sql)),
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stmt::{Class, Dynamic, Place};

    fn made(number: usize) -> Text {
        let place = Place { file: "statements.rs", line: 1 };
        let sql = format!("select {number}");
        Text::Dynamic(Arc::new(Dynamic { name: "made", place, sql, class: Class::Read }))
    }

    #[test]
    fn ten_thousand_shapes_stay_within_the_limit_and_the_one_in_use_is_kept() {
        let mut statements = Statements::new(256);
        statements.insert(&made(0), 0);
        for number in 1..10_000 {
            statements.insert(&made(number), number);
            assert_eq!(statements.get(&made(0)), Some(0), "after {number}");
            assert!(statements.len() <= 256);
        }
        assert_eq!(statements.len(), 256);
        assert_eq!(statements.get(&made(5_000)), None);
        assert_eq!(statements.get(&made(9_999)), Some(9_999));
        statements.remove(&made(9_999));
        statements.remove(&made(9_999));
        assert_eq!(statements.len(), 255);
    }
}
