//! Postgres, Redis and NATS for a person to play with: prints their URLs and keeps them until it is ended.
//!
//! `burgeon-services [postgres] [redis] [nats]`; all of them when none is named. However this process ends, its
//! servers end with it.

use std::process::ExitCode;

use burgeon_services::{Nats, Postgres, Redis, Result};

const KNOWN: [&str; 3] = ["postgres", "redis", "nats"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a binary reads its arguments")]
    let named: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = named.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        eprintln!("`{unknown}` is none of the services: {}", KNOWN.join(", "));
        return ExitCode::from(2);
    }
    match run(|name| named.is_empty() || named.iter().any(|wanted| wanted == name)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(wanted: impl Fn(&str) -> bool) -> Result<()> {
    // Durable, all three: a person expects to find tomorrow what was written today, as long as this runs.
    let postgres =
        if wanted("postgres") { Some(Postgres::options().fsync(true).start().await?) } else { None };
    let redis = if wanted("redis") { Some(Redis::durable().await?) } else { None };
    let nats = if wanted("nats") { Some(Nats::start().await?) } else { None };
    let urls = [
        ("postgres", postgres.as_ref().map(Postgres::url)),
        ("redis", redis.as_ref().map(Redis::url)),
        ("nats", nats.as_ref().map(Nats::url)),
    ];
    for (name, url) in urls {
        if let Some(url) = url {
            println!("{name} {url}");
        }
    }
    println!("ready; Ctrl-C stops them and removes their data");
    std::future::pending().await
}
