//! The statements one connection has prepared.

use std::collections::HashMap;

use tokio_postgres::Statement;

use crate::stmt::Text;
use crate::{Engine, Stmt};

/// Prepared statements by text, the least recently used first to go. Per connection: names live on the server's side
/// of it.
///
/// The driver closes a statement when its last handle is dropped, so evicting is forgetting.
pub(super) struct Statements {
    /// A static's address is its text.
    known: HashMap<usize, Entry>,
    /// Texts that were made at run time.
    made: HashMap<Box<str>, Entry>,
    limit: usize,
    turn: u64,
}

struct Entry {
    statement: Statement,
    used: u64,
}

impl Statements {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), made: HashMap::new(), limit: limit.max(1), turn: 0 }
    }

    pub(super) fn get(&mut self, text: &Text) -> Option<Statement> {
        self.turn += 1;
        let entry = match text {
            Text::Static(stmt) => self.known.get_mut(&address(stmt)),
            Text::Dynamic(_) => self.made.get_mut(text.sql(Engine::Postgres)),
        }?;
        entry.used = self.turn;
        Some(entry.statement.clone())
    }

    pub(super) fn insert(&mut self, text: &Text, statement: Statement) {
        self.remove(text);
        if self.len() >= self.limit {
            self.evict();
        }
        self.turn += 1;
        let entry = Entry { statement, used: self.turn };
        match text {
            Text::Static(stmt) => self.known.insert(address(stmt), entry),
            Text::Dynamic(_) => self.made.insert(text.sql(Engine::Postgres).into(), entry),
        };
    }

    pub(super) fn remove(&mut self, text: &Text) {
        match text {
            Text::Static(stmt) => self.known.remove(&address(stmt)),
            Text::Dynamic(_) => self.made.remove(text.sql(Engine::Postgres)),
        };
    }

    pub(super) fn len(&self) -> usize {
        self.known.len() + self.made.len()
    }

    // A walk over a few hundred entries, and only once the cache is full: next to preparing, it costs nothing.
    fn evict(&mut self) {
        let known = self.known.iter().min_by_key(|(_, entry)| entry.used).map(|(key, e)| (*key, e.used));
        let made = self.made.iter().min_by_key(|(_, entry)| entry.used).map(|(key, e)| (key.clone(), e.used));
        match (known, made) {
            (Some((key, used)), Some((_, other))) if used < other => {
                self.known.remove(&key);
            }
            (_, Some((key, _))) => {
                self.made.remove(&key);
            }
            (Some((key, _)), None) => {
                self.known.remove(&key);
            }
            (None, None) => {}
        }
    }
}

fn address(stmt: &'static Stmt) -> usize {
    (&raw const *stmt).addr()
}
