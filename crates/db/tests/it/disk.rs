//! A disk that is full in the middle of group commits, in both synchronous modes: what was acknowledged is there, the
//! error is typed, the file is whole, and the writer goes on when there is room again.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use burgeon_core::{Ctx, Kind, Result};
use burgeon_db::{Config, Db, Fault, Synchronous, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

const WRITERS: i64 = 24;
/// More than fits anywhere here.
const MOST: i64 = 20_000;

async fn open(file: &Path, synchronous: Synchronous) -> Db {
    let mut config = Config::at(format!("sqlite:{}", file.display()));
    config.sqlite.synchronous = synchronous;
    let meters = Meters::new();
    Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap()
}

/// Every third is a transaction of two rows, which share a body: half of it must never be there.
async fn put(db: &Db, id: i64) -> Result<()> {
    let ctx = Ctx::background();
    let body = vec![7_u8; 1_500];
    if id % 3 > 0 {
        return sql!("heap_one", "insert into heap (id, pair, body) values ($1, 0, $2)", id, body)
            .execute(&db.write(&ctx))
            .await
            .map(drop);
    }
    db.tx(&ctx, async |tx| {
        sql!("heap_first", "insert into heap (id, pair, body) values ($1, 1, $2)", id, &body)
            .execute(tx)
            .await?;
        sql!("heap_second", "insert into heap (id, pair, body) values (-$1 - 1, 1, $2)", id, body)
            .execute(tx)
            .await
            .map(drop)
    })
    .await
}

async fn make_heap(db: &Db) {
    let make = "create table heap (id integer primary key, pair integer not null, body blob not null) strict";
    let make = burgeon_db::Migration::new("0001_heap", [make, make]);
    let files: &'static [burgeon_db::Migration] = Box::leak(Box::new([make]));
    burgeon_db::Migrator::new().module("heap", files).run(db, &Ctx::background()).await.unwrap();
}

/// Writes until the disk is full, makes room, and looks at everything.
async fn fills_up_and_goes_on(db: &Db, file: &Path, make_room: impl AsyncFnOnce()) {
    let (acknowledged, refused) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let unknown = Mutex::new(0);
    join_all((0..WRITERS).map(|who| {
        let (acknowledged, refused, unknown) = (&acknowledged, &refused, &unknown);
        async move {
            for n in 0..MOST / WRITERS {
                let id = 1 + who + n * WRITERS;
                let Err(error) = put(db, id).await else {
                    acknowledged.lock().unwrap().push(id);
                    continue;
                };
                match Fault::of(&error) {
                    // It shared a commit with the one that met the end of the disk: not done, and may be tried again.
                    Some(Fault::SerializationFailure) => {
                        refused.lock().unwrap().push(id);
                        continue;
                    }
                    Some(Fault::Unavailable { why }) => {
                        assert!(why.contains("full"), "{why}");
                        refused.lock().unwrap().push(id);
                    }
                    other => {
                        assert!(matches!(other, Some(Fault::OutcomeUnknown { .. })), "{error:?}");
                        *unknown.lock().unwrap() += 1;
                    }
                }
                assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
                return;
            }
        }
    }))
    .await;
    let (acknowledged, refused) = (acknowledged.into_inner().unwrap(), refused.into_inner().unwrap());
    let unknown = unknown.into_inner().unwrap();
    eprintln!("{} acknowledged, {} refused, {unknown} unknown", acknowledged.len(), refused.len());
    assert!(acknowledged.len() > 50, "{} were acknowledged before it was full", acknowledged.len());

    assert!(refused.len() + unknown >= WRITERS as usize, "the disk was never full");

    // Reading goes on while it is full.
    let ctx = Ctx::background();
    let there: i64 =
        sql!("heap_count", "select count(*) from heap where id > 0").one(&db.read(&ctx)).await.unwrap();
    assert!(there as usize >= acknowledged.len());

    make_room().await;
    // The same writer, without a restart.
    put(db, 1_000_000).await.unwrap();
    put(db, 1_000_002).await.unwrap();
    db.close().await;

    let conn = Connection::open(file).unwrap();
    let healthy: String = conn.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(healthy, "ok");
    let mut present = conn.prepare("select exists (select 1 from heap where id = ?1)").unwrap();
    let mut is_there = |id: &i64| present.query_row([id], |row| row.get::<_, bool>(0)).unwrap();
    for id in &acknowledged {
        assert!(is_there(id), "{id} was acknowledged and is gone");
    }
    for id in &refused {
        assert!(!is_there(id), "{id} was refused and is there");
    }
    let halves = "select count(*) from heap a where a.pair = 1 and not exists (select 1 from heap b where b.id = -a.id - 1)";
    assert_eq!(conn.query_row(halves, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "half a transaction");
}

async fn a_file_that_may_not_grow(synchronous: Synchronous) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("test.db");
    let db = open(&file, synchronous).await;
    make_heap(&db).await;
    let ctx = Ctx::background();
    let on = db.write(&ctx);
    // To SQLite a file that may not have more pages is a full disk, wherever the test runs.
    sql!("heap_cap", "pragma max_page_count = 150").all::<i64>(&on).await.unwrap();
    let more = async || {
        sql!("heap_uncap", "pragma max_page_count = 100000").all::<i64>(&on).await.unwrap();
    };
    fills_up_and_goes_on(&db, &file, more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow_full() {
    a_file_that_may_not_grow(Synchronous::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow_normal() {
    a_file_that_may_not_grow(Synchronous::Normal).await;
}

/// A disk of 3 MiB in memory; taken away when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None, said aloud, where this user may not mount.
    fn mount() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: this user may not mount a small disk; `max_page_count` stands in for it");
            return None;
        }
        Some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: a connection that is still open must not keep the mount.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} is still mounted",
            self.0.path().display()
        );
    }
}

async fn a_disk_without_room(synchronous: Synchronous) {
    let Some(disk) = SmallDisk::mount() else { return };
    let file = disk.0.path().join("test.db");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0_u8; 1 << 20]).unwrap();
    let db = open(&file, synchronous).await;
    make_heap(&db).await;
    fills_up_and_goes_on(&db, &file, async || std::fs::remove_file(ballast).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_full() {
    a_disk_without_room(Synchronous::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_normal() {
    a_disk_without_room(Synchronous::Normal).await;
}
