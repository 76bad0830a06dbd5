//! How an engine means to answer a statement, for tests that hold it to its indexes and for people who wonder.
//!
//! What this is: `explain`, on the connection, with the parameters and the statistics of the moment. What it is not: a
//! measurement; nothing is run. A plan over ten rows says nothing about a million: fill the table first, and on
//! Postgres `analyze` it. On SQLite a connection that has run nothing since an index was made does not know of it yet:
//! what is run notices and plans again, what is only explained does not.

use std::fmt;
use std::sync::Arc;

use burgeon_core::Result;

use crate::on::{On, Target};
use crate::stmt::{Class, Dynamic, Text};
use crate::{Engine, Query};

/// What the engine said, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    engine: Engine,
    steps: Vec<String>,
}

impl<K> Query<K> {
    /// How the engine would answer this, here and now. It is not run.
    ///
    /// ```no_run
    /// # use burgeon_core::{Ctx, Result};
    /// # use burgeon_db::{Db, sql};
    /// # async fn example(db: &Db, ctx: &Ctx) -> Result<()> {
    /// let plan = sql!("find", "select name from product where id = $1", 7_i64).plan(&db.read(ctx)).await?;
    /// assert!(!plan.scans("product"), "{plan}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As running it: a statement that does not fit its tables has no plan.
    pub async fn plan(self, on: &impl On<K>) -> Result<Plan> {
        let target = on.target();
        let engine = target.engine();
        let text = |explain: &str, text: &Text| {
            Text::Dynamic(Arc::new(Dynamic {
                name: text.name(),
                place: text.place(),
                sql: format!("{explain} {}", text.sql(engine)),
                class: Class::Read,
            }))
        };
        let steps = match engine {
            Engine::Sqlite => {
                let steps: Vec<(i64, i64, i64, String)> =
                    target.all(text("explain query plan", &self.text), self.params).await?;
                steps.into_iter().map(|(.., step)| step).collect()
            }
            Engine::Postgres => target.all(text("explain (costs off)", &self.text), self.params).await?,
        };
        Ok(Plan { engine, steps })
    }
}

impl Plan {
    /// Whether it reads this table from one end to the other, by no index. Name it as the statement does: by its alias,
    /// if it has one there and the engine is SQLite.
    pub fn scans(&self, table: &str) -> bool {
        self.steps.iter().map(|step| step.trim_start_matches([' ', '-', '>'])).any(|step| match self.engine {
            Engine::Sqlite => {
                let mut words = step.split(' ');
                words.next() == Some("SCAN") && words.next() == Some(table) && !step.contains(" USING ")
            }
            Engine::Postgres => {
                let scanned = step.trim_start_matches("Parallel ").strip_prefix("Seq Scan on ");
                scanned.is_some_and(|rest| rest.split(' ').next() == Some(table))
            }
        })
    }

    /// Whether rows are collected and sorted before the first can be answered: no index has them in order.
    pub fn sorts(&self) -> bool {
        self.steps.iter().any(|step| match self.engine {
            Engine::Sqlite => step.starts_with("USE TEMP B-TREE FOR") && step.ends_with("ORDER BY"),
            Engine::Postgres => {
                let step = step.trim_start_matches([' ', '-', '>']);
                step == "Sort" || step == "Incremental Sort"
            }
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join("\n"))
    }
}

impl Target<'_> {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Target::Alone(db, ..) => db.engine(),
            Target::Within(tx) => tx.db().engine(),
        }
    }
}
