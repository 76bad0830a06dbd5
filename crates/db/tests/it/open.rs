//! What can be wrong with a file, and the sentence for it.

use burgeon_core::{Ctx, Result};
use burgeon_db::{Config, Db, Fault, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tempfile::TempDir;

use crate::house::House;

async fn open(url: String) -> Result<Db> {
    let meters = Meters::new();
    Db::open(&Config::at(url), &Tasks::new(&meters), &meters).await
}

async fn refused(url: String) -> String {
    open(url).await.unwrap_err().detail()
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("none/shop.db");
    let says = refused(format!("sqlite:{}", missing.display())).await;
    assert!(says.contains("none does not exist; create it or change `database.url`"), "{says}");
    let says = refused(format!("sqlite:{}", directory.path().display())).await;
    assert!(says.contains("is a directory; name a file in it"), "{says}");
    for url in ["sqlite:", "sqlite::memory:"] {
        assert!(refused(url.to_owned()).await.contains("write sqlite:PATH"));
    }
    assert!(refused("mysql://root:secret@x/y".to_owned()).await.contains("scheme `mysql`"));
    assert!(!refused("mysql://root:secret@x/y".to_owned()).await.contains("secret"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_from_one_that_is_damaged() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("shop.db");
    let url = format!("sqlite:{}", file.display());
    std::fs::write(&file, "name,price\nLamp,9.50\n".repeat(100)).unwrap();
    let says = refused(url.clone()).await;
    assert!(says.contains("is not a SQLite database"), "{says}");

    std::fs::remove_file(&file).unwrap();
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch("create table a (x text); insert into a select hex(randomblob(500)) from (values (1),(2),(3),(4),(5),(6),(7),(8),(9))").unwrap();
    drop(conn);
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len().min(4_096 + 2_000);
    bytes[4_096..end].fill(0xab);
    std::fs::write(&file, bytes).unwrap();
    let db = open(url).await.unwrap();
    let error = sql!("read_damaged", "select x from a")
        .all::<String>(&db.read(&Ctx::background()))
        .await
        .unwrap_err();
    assert!(
        matches!(Fault::of(&error), Some(Fault::Unusable { why }) if why.contains("restore it from a backup")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_the_writer_lives() {
    let house = House::sqlite().await;
    let on = house.db.write(&house.ctx);
    sql!("make_heap", "create table heap (x blob) strict").execute(&on).await.unwrap();
    // The file may not grow beyond what it has: to SQLite that is a full disk.
    sql!("cap", "pragma max_page_count = 40").all::<i64>(&on).await.unwrap();
    let big = vec![7_u8; 1 << 20];
    let error = sql!("fill_heap", "insert into heap values ($1)", &big).execute(&on).await.unwrap_err();
    assert!(
        matches!(Fault::of(&error), Some(Fault::Unavailable { why }) if why.contains("full")),
        "{error:?}"
    );
    sql!("fill_little", "insert into heap values ($1)", vec![7_u8; 100]).execute(&on).await.unwrap();
    let rows: i64 =
        sql!("count_heap", "select count(*) from heap").one(&house.db.read(&house.ctx)).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_second_open_in_the_same_process_sees_the_same_file() {
    let house = House::sqlite().await;
    sql!("make_shared", "create table shared (x integer) strict")
        .execute(&house.db.write(&house.ctx))
        .await
        .unwrap();
    let second = open(format!("sqlite://{}", house.file().display())).await.unwrap();
    sql!("add_shared", "insert into shared values (1)").execute(&second.write(&house.ctx)).await.unwrap();
    let seen: i64 = sql!("see_shared", "select x from shared").one(&house.db.read(&house.ctx)).await.unwrap();
    assert_eq!(seen, 1);
}
