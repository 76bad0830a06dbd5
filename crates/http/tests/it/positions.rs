//! Positions that clients bring: which are believed, and what those can do that are.

use std::time::Duration;

use burgeon_core::{Ctx, Result};
use burgeon_db::{Config, Db, sql};
use burgeon_http::{Door, Edge, Keys, Mounts, Routes, State, get, post};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;

use crate::serving::{Served, quick};

const HOUR: Duration = Duration::from_secs(3600);

/// What the request is believed to have seen, behind a read that heeds it.
async fn position(ctx: Ctx, State(db): State<Db>) -> Result<String> {
    sql!("any_read", "select 1").one::<i64>(&db.read(&ctx)).await?;
    Ok(ctx.position().to_string())
}

async fn write(ctx: Ctx, State(db): State<Db>) -> Result<String> {
    sql!("any_write", "insert into place (n) values (1)").execute(&db.write(&ctx)).await?;
    Ok(ctx.position().to_string())
}

/// A primary, a replica, and an edge in front of them.
struct Site {
    primary: Postgres,
    _replica: Postgres,
    db: Db,
    meters: Meters,
    keys: Keys,
    served: Served,
    _tasks: Tasks,
}

impl Site {
    async fn open() -> Self {
        let primary = Postgres::start().await.unwrap();
        primary.psql("postgres", "create table place (n bigint not null)").await.unwrap();
        let replica = primary.replica().await.unwrap();
        let mut config = Config::at(primary.url());
        config.replicas = vec![replica.url().into()];
        config.acquire_timeout = Duration::from_secs(2);
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(&config, &tasks, &meters).await.unwrap();
        let keys = Keys::fixed(b"ours");
        let door = Door::new().with_keys(keys.clone()).with_causal_reads(db.clone());
        let routes = Routes::new(db.clone()).routes([get("/position", position), post("/write", write)]);
        let router = Mounts::new().mount("/", routes).router(door).unwrap();
        let served = Served::edge(&quick(), Edge::new(&quick(), router, &meters).unwrap());
        Self { primary, _replica: replica, db, meters, keys, served, _tasks: tasks }
    }

    /// What a node of this application says of a position.
    fn sealed(&self, position: &str) -> String {
        self.keys.seal(&self.purpose(), position.as_bytes(), HOUR).unwrap()
    }

    fn purpose(&self) -> String {
        format!("position {:x}", self.db.cluster().unwrap())
    }

    async fn ask(&self, line: &str, fields: &str) -> String {
        let request = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{fields}\r\n");
        self.served.say(request).await
    }

    /// What is believed of such a header, or such a cookie.
    async fn believed(&self, sealed: &str) -> [String; 2] {
        let header = self.ask("GET /position", &format!("burgeon-position: {sealed}\r\n")).await;
        let cookie = self.ask("GET /position", &format!("cookie: position={sealed}\r\n")).await;
        [header, cookie].map(|answer| {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
        })
    }

    fn reads(&self, target: &'static str, how: &'static str) -> u64 {
        self.meters.counter("db_reads_total", "", &[("target", target), ("how", how)]).get()
    }
}

#[tokio::test]
async fn a_position_that_no_node_of_this_application_signed_for_this_database_is_none() {
    let site = Site::open().await;
    let believed = site.sealed("1:0/10");
    assert_eq!(site.believed(&believed).await, ["1:0/10", "1:0/10"]);

    let cluster = site.db.cluster().unwrap();
    let sealed =
        |keys: &Keys, purpose: &str, content: &str| keys.seal(purpose, content.as_bytes(), HOUR).unwrap();
    let changed = {
        let (start, last) = believed.split_at(believed.len() - 1);
        format!("{start}{}", if last == "A" { "E" } else { "A" })
    };
    let ahead = "9:FFFFFFFF/FFFFFFFF";
    let far = sealed(&Keys::fixed(b"theirs"), &site.purpose(), ahead);
    for (what, forged) in [
        ("another secret", far.clone()),
        ("a changed byte", changed),
        ("a cut one", believed[..believed.len() / 2].to_owned()),
        ("another database cluster", sealed(&site.keys, &format!("position {:x}", cluster ^ 1), ahead)),
        ("another purpose", sealed(&site.keys, "session", ahead)),
        ("no position", sealed(&site.keys, &site.purpose(), "9:zz/1")),
        ("words", "1:0/10".to_owned()),
        ("much", "A".repeat(6_000)),
        ("nothing", String::new()),
    ] {
        assert_eq!(site.believed(&forged).await, ["0:0/0", "0:0/0"], "{what}");
    }
    // Nobody was sent to the primary by any of them, and nobody else is afraid of a timeline that does not exist.
    assert_eq!(site.reads("primary", "fallback"), 0);
    let written = site.ask("POST /write", "content-length: 0\r\n").await;
    assert!(written.starts_with("HTTP/1.1 200") && written.contains("burgeon-position: "), "{written}");

    // A forged one beside a good one takes nothing from it, and of two good ones the further counts.
    let both = format!("burgeon-position: {far}\r\ncookie: position={believed}\r\n");
    assert!(site.ask("GET /position", &both).await.ends_with("1:0/10"));
    let both = format!("burgeon-position: {}\r\ncookie: position={believed}\r\n", site.sealed("1:0/8"));
    assert!(site.ask("GET /position", &both).await.ends_with("1:0/10"));
    site.served.stop().await;
}

#[tokio::test]
async fn a_position_from_the_future_is_answered_by_the_primary_and_a_later_timeline_by_nobody_else() {
    let site = Site::open().await;
    // The log will be there some day. No replica is, and the primary has whatever there is.
    let ahead = site.sealed("1:FFFFFFFF/0");
    assert_eq!(site.believed(&ahead).await, ["1:FFFFFFFF/0", "1:FFFFFFFF/0"]);
    assert_eq!(site.reads("primary", "fallback"), 2);

    // Where a node has committed on a later timeline, there is a later primary. That this one cannot be it is believed
    // until the other is found: nothing is written here, and nothing read that might be older.
    let later = site.sealed("2:0/10");
    let refused = site.ask("GET /position", &format!("burgeon-position: {later}\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let refused = site.ask("POST /write", "content-length: 0\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let count = site.primary.psql("postgres", "select count(*) from place").await.unwrap();
    assert_eq!(count, "0");
    let why = site.db.condition().unwrap_err();
    assert!(why.contains("timeline 2"), "{why}");
    site.served.stop().await;
}
