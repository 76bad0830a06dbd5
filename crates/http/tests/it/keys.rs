//! Signing keys that all nodes share.

use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::{Config, Db, Migrator, sql};
use burgeon_http::Keys;
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;

const HOUR: Duration = Duration::from_secs(3600);

struct Node {
    db: Db,
    tasks: Tasks,
}

impl Node {
    async fn at(url: &str) -> Self {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(&Config::at(url), &tasks, &meters).await.unwrap();
        Self { db, tasks }
    }

    async fn migrated(url: &str) -> Self {
        let node = Self::at(url).await;
        migrate(&node.db).await;
        node
    }

    async fn keys(&self) -> Keys {
        let keys = Keys::awaiting();
        keys.follow(&self.db, &self.tasks).await.unwrap();
        keys
    }

    async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await.unwrap();
        self.db.close().await;
    }

    async fn generations(&self) -> Vec<i64> {
        let ctx = Ctx::background();
        let db = self.db.write(&ctx);
        sql!("generations", "select generation from burgeon_key order by generation").all(&db).await.unwrap()
    }

    async fn let_pass(&self, seconds: i64) {
        let ctx = Ctx::background();
        let db = self.db.write(&ctx);
        sql!("let_pass", "update burgeon_key set signs_from = signs_from - $1", seconds)
            .execute(&db)
            .await
            .unwrap();
    }
}

async fn migrate(db: &Db) {
    let ctx = Ctx::background();
    Migrator::new().module("http", burgeon_http::migrations()).run(db, &ctx).await.unwrap();
}

fn sqlite(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("keys.db").display())
}

#[tokio::test]
async fn nodes_that_start_at_once_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::migrated(&sqlite(&folder)).await;
    let (one, two, three) = tokio::join!(node.keys(), node.keys(), node.keys());
    let sealed = one.seal("p", b"x", HOUR).unwrap();
    for keys in [&two, &three] {
        assert_eq!(keys.open("p", &sealed), Some(b"x".to_vec()));
    }
    assert_eq!(node.generations().await, [1]);
    node.stop().await;
}

#[tokio::test]
async fn nodes_of_one_postgres_share_their_keys() {
    let postgres = Postgres::shared().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let first = Node::migrated(&url).await;
    let (second, third) = tokio::join!(Node::at(&url), Node::at(&url));
    let (one, two, three) = tokio::join!(first.keys(), second.keys(), third.keys());
    let sealed = [&one, &two, &three].map(|keys| keys.seal("p", b"x", HOUR).unwrap());
    for keys in [&one, &two, &three] {
        for sealed in &sealed {
            assert_eq!(keys.open("p", sealed), Some(b"x".to_vec()));
        }
    }
    assert_eq!(first.generations().await, [1]);

    // Whoever looks first after 30 days makes the next key; all of them look at once.
    first.let_pass(30 * 24 * 3600 + 1).await;
    let (a, b, c) = tokio::join!(one.refresh(&first.db), two.refresh(&second.db), three.refresh(&third.db));
    a.and(b).and(c).unwrap();
    assert_eq!(first.generations().await, [1, 2]);
    first.let_pass(11 * 60).await;
    one.refresh(&first.db).await.unwrap();
    // The second node has not looked again, and yet knows the key that signs now.
    let after = one.seal("p", b"y", HOUR).unwrap();
    assert_eq!(two.open("p", &after), Some(b"y".to_vec()));
    for node in [first, second, third] {
        node.stop().await;
    }
}

#[tokio::test]
async fn what_was_signed_before_a_restart_is_good_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::migrated(&sqlite(&folder)).await;
    let sealed = node.keys().await.seal("p", b"x", HOUR).unwrap();
    node.stop().await;
    let node = Node::at(&sqlite(&folder)).await;
    assert_eq!(node.keys().await.open("p", &sealed), Some(b"x".to_vec()));
    node.stop().await;
}

#[tokio::test]
async fn a_key_is_replaced_with_notice_and_removed_when_nothing_it_signed_is_good() {
    const DAY: i64 = 24 * 3600;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::migrated(&sqlite(&folder)).await;
    let keys = node.keys().await;
    let sealed = keys.seal("p", b"x", HOUR).unwrap();

    node.let_pass(30 * DAY + 1).await;
    let (one, two, three) =
        tokio::join!(keys.refresh(&node.db), keys.refresh(&node.db), keys.refresh(&node.db));
    one.and(two).and(three).unwrap();
    assert_eq!(node.generations().await, [1, 2]);
    // The new key does not sign yet: a node that has only the old one can open what is sealed now.
    let during = keys.seal("p", b"y", HOUR).unwrap();
    let of_key = |sealed: &str| sealed[..12].to_owned();
    assert_eq!(of_key(&during), of_key(&sealed));

    node.let_pass(11 * 60).await;
    keys.refresh(&node.db).await.unwrap();
    let after = keys.seal("p", b"z", HOUR).unwrap();
    assert_ne!(of_key(&after), of_key(&sealed));
    assert!(keys.open("p", &sealed).is_some() && keys.open("p", &after).is_some());

    node.let_pass(29 * DAY).await;
    keys.refresh(&node.db).await.unwrap();
    assert_eq!(node.generations().await, [1, 2]);
    node.let_pass(63 * DAY).await;
    keys.refresh(&node.db).await.unwrap();
    assert_eq!(node.generations().await, [2, 3]);
    assert!(keys.open("p", &sealed).is_none() && keys.open("p", &after).is_some());
    node.stop().await;
}
