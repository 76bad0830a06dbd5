//! Hearing and saying notifications on a connection of their own.

use std::time::Duration;

use burgeon_core::Kind;
use burgeon_db::{Config, Db, Heard};
use burgeon_services::Postgres;
use tokio::time::timeout;

use super::Yard;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_is_said_is_heard_by_all_who_listen_in_its_order_and_by_nobody_else() {
    let yard = Yard::open().await;
    let (mut first, say) = yard.db.listen(&yard.ctx, "odd \"name\"").await.unwrap();
    let (mut second, _) = yard.db.listen(&yard.ctx, "odd \"name\"").await.unwrap();
    let (mut other, say_other) = yard.db.listen(&yard.ctx, "other").await.unwrap();

    let long = "ü".repeat(3_900);
    for payload in ["1", "it's", &long] {
        say.say(payload).await.unwrap();
    }
    for listener in [&mut first, &mut second] {
        for payload in ["1", "it's", &long] {
            let heard = timeout(SOON, listener.hear()).await.unwrap().unwrap();
            assert_eq!(heard, Heard::Said(payload.to_owned()));
        }
    }
    say_other.say("alone").await.unwrap();
    assert_eq!(timeout(SOON, other.hear()).await.unwrap().unwrap(), Heard::Said("alone".to_owned()));
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_the_connection_lives() {
    let yard = Yard::open().await;
    let (mut listener, say) = yard.db.listen(&yard.ctx, "short").await.unwrap();
    say.say(&"x".repeat(8_000)).await.unwrap_err();
    say.say("after").await.unwrap();
    assert_eq!(timeout(SOON, listener.hear()).await.unwrap().unwrap(), Heard::Said("after".to_owned()));
}

#[tokio::test]
async fn a_listener_that_does_not_keep_up_is_told_how_much_it_missed() {
    let yard = Yard::open().await;
    let (mut listener, say) = yard.db.listen(&yard.ctx, "flood").await.unwrap();
    yard.psql("select count(pg_notify('flood', n::text)) from generate_series(1, 5000) n").await;
    // Its answer comes behind all that was pushed before.
    say.say("last").await.unwrap();

    let (mut said, mut missed) = (0, 0);
    while said + missed < 5_001 {
        match timeout(SOON, listener.hear()).await.unwrap().unwrap() {
            Heard::Said(_) => said += 1,
            Heard::Missed(count) => missed += count,
        }
    }
    assert_eq!((said, missed), (4_096, 905));
}

#[tokio::test]
async fn a_connection_that_ends_is_told_to_both_ends() {
    let server = Postgres::options().start().await.unwrap();
    let url = server.create_database().await.unwrap();
    let yard = Yard::at(url, |_| {}).await;
    let (mut listener, say) = yard.db.listen(&yard.ctx, "news").await.unwrap();
    server.kill().await.unwrap();
    assert_eq!(timeout(SOON, listener.hear()).await.unwrap().unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(timeout(SOON, say.say("x")).await.unwrap().unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn sqlite_says_that_it_has_nobody_to_tell() {
    let directory = tempfile::tempdir().unwrap();
    let meters = burgeon_meter::Meters::new();
    let url = format!("sqlite:{}", directory.path().join("a.db").display());
    let db = Db::open(&Config::at(url), &burgeon_runtime::Tasks::new(&meters), &meters).await.unwrap();
    let refused = db.listen(&burgeon_core::Ctx::background(), "news").await.err().unwrap();
    assert_eq!(refused.kind(), Kind::Internal);
}
