//! What another process does to a SQLite file is noticed; what this one does is not mistaken for it.

use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Cancel, Ctx};
use burgeon_db::{Config, Db, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

async fn write(db: &Db) {
    sql!("beside_write", "insert into note (text) values ('x')")
        .execute(&db.write(&Ctx::background()))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_another_process_commits_is_told_and_what_this_one_commits_is_not() {
    let directory = TempDir::new().unwrap();
    let config = Config::at(format!("sqlite:{}", directory.path().join("shop.db").display()));
    let (meters, other_meters) = (Meters::new(), Meters::new());
    let (tasks, other_tasks) = (Tasks::new(&meters), Tasks::new(&other_meters));
    let db = Db::open(&config, &tasks, &meters).await.unwrap();
    // With connections of its own, as another process has them.
    let other = Db::open(&config, &other_tasks, &other_meters).await.unwrap();
    sql!("beside_table", "create table note (text text not null)")
        .execute(&db.write(&Ctx::background()))
        .await
        .unwrap();

    let told = Arc::new(watch::Sender::new(0));
    let mut heard = told.subscribe();
    let (stop, stopping) = Cancel::new();
    let watching = tasks.spawn("watch", {
        let (db, told) = (db.clone(), told.clone());
        async move { db.watch_others(stopping, move || told.send_modify(|times| *times += 1)).await }
    });
    timeout(SOON, heard.wait_for(|times| *times == 1)).await.unwrap().unwrap();
    // Busy for longer than two looks.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        write(&db).await;
    }
    assert_eq!(*told.borrow(), 1);
    write(&other).await;
    timeout(SOON, heard.wait_for(|times| *times == 2)).await.unwrap().unwrap();
    stop.cancel();
    timeout(SOON, watching).await.unwrap().unwrap().unwrap();
}
