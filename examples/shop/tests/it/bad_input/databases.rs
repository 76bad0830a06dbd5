//! Databases that cannot be used, and databases that cannot be reached.

use std::fs;
use std::time::Duration;

use burgeon_services::{Postgres, Proxy};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{BOUND, folder, run};

/// Shorter than the half minute that production waits for a database.
const WAIT: (&str, &str) = ("BURGEON__APP__DATABASE_WAIT", "1s");
const QUICK: (&str, &str) = ("BURGEON__DATABASE__ACQUIRE_TIMEOUT", "500ms");

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let folder = folder();
    let file = folder.path().join("shop.db");
    let noise: Vec<u8> = (0..50_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [noise, b"Dear diary, today I kept a shop.\n".repeat(100)] {
        fs::write(&file, &bytes).expect("the file is written");
        run(folder.path(), &[], &[])
            .await
            .refused(1, &["shop.db is not a SQLite database", "move it away", "`database.url`"]);
        assert!(fs::read(&file).expect("the file is read") == bytes, "it was written to");
    }
}

#[tokio::test]
async fn a_database_that_was_cut_off_or_overwritten_is_called_damaged() {
    let folder = folder();
    let file = folder.path().join("shop.db");
    // A real one, of the shop's own making; a verb leaves its log written back and removed.
    assert_eq!(run(folder.path(), &[], &["migrate"]).await.code, Some(0));
    let whole = fs::read(&file).expect("the file is read");
    assert!(whole.len() > 100_000, "{}", whole.len());
    let mut holed = whole.clone();
    holed[4_096..40_960].fill(0xA5);
    for bytes in [&whole[..20_000], &whole[..50], &holed] {
        fs::write(&file, bytes).expect("the file is written");
        run(folder.path(), &[], &[]).await.refused(1, &["shop.db", "is damaged", "restore it from a backup"]);
    }
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_database_is_told_at_once() {
    let folder = folder();
    fs::create_dir(folder.path().join("shop.db")).expect("a directory is made");
    run(folder.path(), &[], &[]).await.refused(1, &["shop.db, which is a directory", "name a file in it"]);

    let nowhere = ("DATABASE_URL", "sqlite:nowhere/shop.db");
    run(folder.path(), &[nowhere], &[])
        .await
        .refused(1, &["the directory nowhere does not exist", "create it"]);

    // Not even root makes files there.
    let began = Instant::now();
    run(folder.path(), &[("DATABASE_URL", "sqlite:/proc/shop.db")], &[])
        .await
        .refused(1, &["/proc/shop.db cannot be opened for writing", "needs the right to write"]);
    assert!(began.elapsed() < Duration::from_secs(15), "waiting gives nobody a right: {:?}", began.elapsed());

    let protected = folder.path().join("protected.db");
    fs::write(&protected, "").expect("the file is written");
    let mut rights = fs::metadata(&protected).expect("the file is there").permissions();
    rights.set_readonly(true);
    fs::set_permissions(&protected, rights).expect("its rights are taken");
    run(folder.path(), &[("DATABASE_URL", "sqlite:protected.db")], &[])
        .await
        .refused(1, &["protected.db is write-protected", "chmod u+w"]);
}

#[tokio::test]
async fn a_postgres_that_nobody_reaches_is_given_up_in_time_and_without_its_password() {
    let folder = folder();
    // Bound and never listening: closed for as long as the test runs.
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket is made");
    closed.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let port = closed.local_addr().expect("it is bound").port();
    let began = Instant::now();
    let refused = format!("postgres://shop:hunter2@127.0.0.1:{port}/shop");
    run(folder.path(), &[WAIT, QUICK, ("DATABASE_URL", &refused)], &[])
        .await
        .refused(
            1,
            &["cannot be reached", "nothing answers at 127.0.0.1", "`app.database_wait`", "shop:***@"],
        )
        .never_says("hunter2");
    let unknown = "postgres://shop:hunter2@nowhere.invalid/shop";
    run(folder.path(), &[WAIT, QUICK, ("DATABASE_URL", unknown)], &[])
        .await
        .refused(1, &["cannot be reached", "nowhere.invalid", "check the name in `database.url`"])
        .never_says("hunter2");
    assert!(began.elapsed() < BOUND, "given up after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_postgres_behind_a_line_that_swallows_everything_is_given_up_in_time() {
    let folder = folder();
    // Accepts by the kernel's hand and never says a word; behind it a line that loses what is sent.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let proxy = Proxy::start(silent.local_addr().expect("it listens")).await.expect("the proxy starts");
    proxy.black_hole();
    let began = Instant::now();
    let url = format!("postgres://shop:hunter2@127.0.0.1:{}/shop", proxy.port());
    run(folder.path(), &[WAIT, QUICK, ("DATABASE_URL", &url)], &[])
        .await
        .refused(1, &["cannot be reached", &proxy.port().to_string(), "`app.database_wait`"])
        .never_says("hunter2");
    assert!(began.elapsed() < Duration::from_secs(20), "given up after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_postgres_that_refuses_the_user_or_has_no_such_database_is_told_at_once() {
    let folder = folder();
    let postgres = Postgres::options().password("correct-horse").start().await.expect("Postgres starts");
    let port = postgres.port();
    let url = postgres.url();
    let user = url.split("://").nth(1).and_then(|rest| rest.split([':', '@']).next()).expect("a user");
    let wrong = format!("postgres://{user}:hunter2@127.0.0.1:{port}/postgres");
    run(folder.path(), &[("DATABASE_URL", &wrong)], &[])
        .await
        .refused(1, &["the database cannot be opened", "password", user])
        .never_says("hunter2");
    let absent = format!("postgres://{user}:correct-horse@127.0.0.1:{port}/no_such_shop");
    run(folder.path(), &[("DATABASE_URL", &absent)], &[])
        .await
        .refused(1, &["the database cannot be opened", "no_such_shop"])
        .never_says("correct-horse");
}
