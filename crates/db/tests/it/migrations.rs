//! Migrations, on both engines.

use burgeon_core::Kind;
use burgeon_db::{Db, Engine, Migration, Migrator, State, migrations, sql};

use crate::both::both;

const SHELF: &[Migration] = migrations!["test/0001_shelf.sql", "test/0002_search.sql"];

const fn file(name: &'static str, sql: &'static str) -> Migration {
    Migration::new(name, [sql, sql])
}

fn shop() -> Migrator {
    const BOOKS: &[Migration] = &[file(
        "0001_book",
        "create table book (id integer primary key, shelf integer not null references shelf (id))",
    )];
    // Named before what it depends on, on purpose.
    Migrator::new().module("books", BOOKS).after(["shelves"]).module("shelves", SHELF)
}

fn names(steps: &[burgeon_db::Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

async fn count(db: &Db, ctx: &burgeon_core::Ctx) -> i64 {
    sql!("count_migrations", "select count(*) from burgeon_migration").one(&db.read(ctx)).await.unwrap()
}

#[tokio::test]
async fn what_is_pending_is_applied_once_and_in_order() {
    for home in both().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let before = shop().status(db, ctx).await.unwrap();
        assert!(before.iter().all(|step| step.state == State::Pending) && before.len() == 3, "{before:?}");
        let done = shop().run(db, ctx).await.unwrap();
        assert_eq!(
            names(&done),
            ["shelves/0001_shelf: applied", "shelves/0002_search: applied", "books/0001_book: applied"]
        );
        assert_eq!(shop().run(db, ctx).await.unwrap(), []);
        let after = shop().status(db, ctx).await.unwrap();
        assert!(after.iter().all(|step| step.state == State::Applied), "{after:?}");
        let name: String =
            sql!("shelf_name", "select name from shelf where id = 1").one(&db.read(ctx)).await.unwrap();
        assert_eq!(name, "one; two");
    }
}

#[tokio::test]
async fn an_edited_file_is_refused_with_both_checksums() {
    const EDITED: &[Migration] = &[file("0001_a", "create table a (id integer primary key, more text)")];
    const ORIGINAL: &[Migration] = &[file("0001_a", "create table a (id integer primary key)")];
    for home in both().await {
        Migrator::new().module("m", ORIGINAL).run(&home.db, &home.ctx).await.unwrap();
        let edited = Migrator::new().module("m", EDITED);
        let error = edited.run(&home.db, &home.ctx).await.unwrap_err();
        let detail = error.detail();
        assert!(
            detail.contains("`0001_a` of module `m` was edited") && detail.contains("new migration"),
            "{detail}"
        );
        let status = edited.status(&home.db, &home.ctx).await.unwrap();
        assert!(matches!(&status[0].state, State::Edited { applied, file } if applied != file));
    }
}

#[tokio::test]
async fn an_older_program_leaves_a_newer_database_alone() {
    const OLD: &[Migration] = &[file("0001_a", "create table a (id integer primary key)")];
    const NEW: &[Migration] = &[OLD[0], file("0002_b", "create table b (id integer primary key)")];
    for home in both().await {
        Migrator::new().module("m", NEW).run(&home.db, &home.ctx).await.unwrap();
        let old = Migrator::new().module("m", OLD);
        let error = old.run(&home.db, &home.ctx).await.unwrap_err();
        assert!(
            error.detail().contains("`0002_b`") && error.detail().contains("newer version"),
            "{}",
            error.detail()
        );
        assert_eq!(old.clone().beside_newer().run(&home.db, &home.ctx).await.unwrap(), []);
        let status = old.status(&home.db, &home.ctx).await.unwrap();
        assert_eq!(names(&status), ["m/0001_a: applied", "m/0002_b: newer"]);
    }
}

#[tokio::test]
async fn a_file_that_fails_leaves_nothing_and_is_tried_again() {
    const GOOD: Migration = file("0001_good", "create table good (id integer primary key)");
    const BROKEN: &[Migration] = &[
        GOOD,
        file(
            "0002_broken",
            "create table half (id integer primary key);\n\ninsert into half\nvalues (1, 2, nonsense);\n",
        ),
    ];
    const MENDED: &[Migration] = &[GOOD, file("0002_broken", "create table half (id integer primary key)")];
    for home in both().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let error = Migrator::new().module("m", BROKEN).run(db, ctx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        let detail = error.detail();
        assert!(detail.contains("`0002_broken` of module `m` failed at line 4"), "{detail}");
        assert!(detail.contains("nonsense") && detail.contains("nothing of it was done"), "{detail}");
        assert_eq!(count(db, ctx).await, 1);
        let done = Migrator::new().module("m", MENDED).run(db, ctx).await.unwrap();
        assert_eq!(names(&done), ["m/0002_broken: applied"]);
    }
}

#[tokio::test]
async fn a_file_may_not_end_its_own_transaction() {
    const BAD: &[Migration] =
        &[file("0001_a", "create table a (id integer primary key);\ncommit;\nselect 1")];
    for home in both().await {
        let error = Migrator::new().module("m", BAD).run(&home.db, &home.ctx).await.unwrap_err();
        assert!(
            error.detail().contains("line 2") && error.detail().contains("`commit` has no place"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn three_nodes_that_start_at_once_migrate_once() {
    for home in both().await {
        if home.db.engine() == Engine::Sqlite {
            // One process has one handle there; its tasks may still be three.
            let migrator = shop();
            let run = || migrator.run(&home.db, &home.ctx);
            let (a, b, c) = tokio::join!(run(), run(), run());
            assert_eq!(a.unwrap().len() + b.unwrap().len() + c.unwrap().len(), 3);
            continue;
        }
        let nodes = [home.another().await, home.another().await, home.another().await];
        let migrator = shop();
        let runs = nodes.iter().map(|db| migrator.run(db, &home.ctx));
        let done: Vec<_> =
            futures_util::future::join_all(runs).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(done.iter().map(Vec::len).sum::<usize>(), 3, "{done:?}");
        assert_eq!(count(&home.db, &home.ctx).await, 3);
    }
}

#[tokio::test]
async fn an_index_that_was_left_unfinished_is_made_anew() {
    let [_, home] = both().await;
    let (db, ctx) = (&home.db, &home.ctx);
    const TABLE: Migration = file("0001_t", "create table t (id bigint)");
    const INDEX: &[Migration] = &[
        TABLE,
        file(
            "0002_i",
            "-- burgeon: no-transaction\ncreate unique index concurrently if not exists t_id on t (id)",
        ),
    ];
    Migrator::new().module("m", &[TABLE]).run(db, ctx).await.unwrap();
    sql!("put_twins", "insert into t values (1), (1)").execute(&db.write(ctx)).await.unwrap();
    let error = Migrator::new().module("m", INDEX).run(db, ctx).await.unwrap_err();
    assert!(
        error.detail().contains("line 2") && error.detail().contains("if not exists"),
        "{}",
        error.detail()
    );
    sql!("drop_twins", "delete from t").execute(&db.write(ctx)).await.unwrap();
    Migrator::new().module("m", INDEX).run(db, ctx).await.unwrap();
    let valid: bool = sql!(
        "index_valid",
        sqlite: "select false",
        postgres: "select indisvalid from pg_index where indexrelid = to_regclass('t_id')"
    )
    .one(&db.read(ctx))
    .await
    .unwrap();
    assert!(valid);
}
