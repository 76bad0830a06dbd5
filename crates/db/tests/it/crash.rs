//! The process killed in the middle of group commits.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use burgeon_core::Ctx;
use burgeon_db::{Config, Db, Synchronous, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

/// Tells the child half which file to write to, and how.
const FILE: &str = "BURGEON_DB_TEST_CRASH_FILE";
const NORMAL: &str = "BURGEON_DB_TEST_CRASH_NORMAL";

/// Not a test of its own: the half that is killed. Started by itself, without a file, it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the only way to tell a child test process what to do")]
async fn the_half_that_is_killed() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut config = Config::at(format!("sqlite:{}", file.display()));
    if std::env::var_os(NORMAL).is_some() {
        config.sqlite.synchronous = Synchronous::Normal;
    }
    let meters = Meters::new();
    let db = Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap();
    let ctx = Ctx::background();
    join_all((0..32_i64).map(|who| {
        let (db, ctx) = (&db, &ctx);
        async move {
            for n in 0_i64.. {
                let id = who * 1_000_000 + n;
                if n % 5 == 0 {
                    db.tx(ctx, async |tx| {
                        sql!("crash_add_two", "insert into ledger (id, pair) values ($1, -$1)", id)
                            .execute(tx)
                            .await?;
                        sql!("crash_add_pair", "insert into ledger (id, pair) values (-$1 - 1, $1)", id)
                            .execute(tx)
                            .await
                    })
                    .await
                    .unwrap();
                } else {
                    sql!("crash_add", "insert into ledger (id, pair) values ($1, 0)", id)
                        .execute(&db.write(ctx))
                        .await
                        .unwrap();
                }
                // Past the harness's capture, one system call a line: what the parent reads has been acknowledged.
                std::io::stdout().lock().write_all(format!("ack {id}\n").as_bytes()).unwrap();
            }
        }
    }))
    .await;
}

fn killed_in_the_middle(normal: bool) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("crash.db");
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("create table ledger (id integer primary key, pair integer not null) strict").unwrap();
    drop(conn);
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "crash::the_half_that_is_killed", "--nocapture"]).env(FILE, &file);
        if normal {
            command.env(NORMAL, "1");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let before = acknowledged.len();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(id) = line.unwrap().strip_prefix("ack ") {
                acknowledged.push(id.parse::<i64>().unwrap());
            }
            if acknowledged.len() == before + 400 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let conn = Connection::open(&file).unwrap();
        let healthy: String = conn.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(healthy, "ok");
        let mut present = conn.prepare("select exists (select 1 from ledger where id = ?1)").unwrap();
        for id in &acknowledged {
            assert!(
                present.query_row([id], |row| row.get::<_, bool>(0)).unwrap(),
                "{id} was acknowledged and is gone"
            );
        }
        let halves: i64 = conn
            .query_row(
                "select count(*) from ledger a where a.id % 5 = 0 and a.pair < 0
                    and not exists (select 1 from ledger b where b.id = -a.id - 1)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(halves, 0, "half a transaction");
        // The next round writes elsewhere.
        conn.execute_batch("delete from ledger").unwrap();
        acknowledged.clear();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_synchronous_full() {
    killed_in_the_middle(false);
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_synchronous_normal() {
    killed_in_the_middle(true);
}
