//! Clients that say nothing, say half, or take nothing: none stops the service, none outlives its timeout.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use burgeon_http::Config;

use crate::serving::{Served, echo, quick, rest};

/// What each sort of silent client says before it falls silent.
const SILENCES: [&str; 6] = [
    "",
    "P",
    "PRI * HTTP",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: te",
    "POST /slow HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf",
];

/// How long the connection stayed open.
async fn life(mut stream: TcpStream, says: &str) -> Duration {
    stream.write_all(says.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut sink = [0; 1024];
    loop {
        match tokio::time::timeout(Duration::from_secs(20), stream.read(&mut sink)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return began.elapsed(),
            Err(_) => panic!("{says:?} was never closed"),
        }
    }
}

/// Runs the named test again with as many files as may be had, if there are too few. True when that was done.
fn ran_with_more_files(test: &str, needed: usize) -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft =
        soft.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse::<usize>().ok());
    if soft.is_none_or(|soft| soft >= needed) {
        return false;
    }
    let again = std::process::Command::new("sh")
        .args(["-c", "ulimit -n $(ulimit -Hn) && exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .status()
        .unwrap();
    assert!(again.success(), "{test} failed with more files");
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_silent_connections_neither_stop_the_service_nor_outlive_their_timeout() {
    let name =
        "server_limits::two_thousand_silent_connections_neither_stop_the_service_nor_outlive_their_timeout";
    if ran_with_more_files(name, 6_000) {
        return;
    }
    let config = quick();
    let served = Served::start(&config, |request, _| echo(request));

    let mut silent = Vec::new();
    for number in 0..2_000 {
        silent.push(life(served.connect().await, SILENCES[number % SILENCES.len()]));
    }
    let silent = tokio::time::timeout(Duration::from_secs(30), join_all(silent));
    let asking = async {
        for _ in 0..50 {
            assert!(served.get("/").await.contains("GET / 0"));
        }
    };
    let (lives, ()) = tokio::join!(silent, asking);
    // Each was closed: `life` would have said otherwise.
    assert_eq!(lives.unwrap().len(), 2_000);
    served.stop().await;
}

/// Longer than [`life`] waits: a limit that plays no part.
const LONG: Duration = Duration::from_secs(120);

/// No limit but this one is short, so whatever was closed was closed by it, however late a busy machine noticed.
fn only(limit: impl FnOnce(&mut Config, Config)) -> Config {
    let mut config = Config {
        head_timeout: LONG,
        idle_timeout: LONG,
        body_pause: LONG,
        body_total: LONG,
        write_pause: LONG,
        ..quick()
    };
    limit(&mut config, quick());
    config
}

fn only_head() -> Config {
    only(|config, quick| config.head_timeout = quick.head_timeout)
}

fn only_idle() -> Config {
    only(|config, quick| config.idle_timeout = quick.idle_timeout)
}

#[tokio::test]
async fn each_silence_is_closed_at_its_own_limit() {
    let ends = SILENCES.map(|says| match says {
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" => (says, only_idle(), quick().idle_timeout),
        says if says.starts_with("POST") => {
            (says, only(|config, quick| config.body_pause = quick.body_pause), quick().body_pause)
        }
        says => (says, only_head(), quick().head_timeout),
    });
    let ends = ends.map(|(says, config, limit)| async move {
        let served = Served::start(&config, |request, _| echo(request));
        let life = life(served.connect().await, says).await;
        assert!(life + Duration::from_millis(50) >= limit, "{says:?} closed after {life:?}");
        served.stop().await;
    });
    join_all(ends).await;
}

#[tokio::test]
async fn a_head_that_drips_is_closed_though_bytes_keep_coming() {
    let served = Served::start(&only_head(), |request, _| echo(request));
    let mut stream = served.connect().await;
    let began = Instant::now();
    while stream.write_all(b"G").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "it is never closed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() + Duration::from_millis(50) >= quick().head_timeout, "cut too early");
    served.stop().await;
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_it_rests_too_long_and_its_second_head_has_a_limit() {
    for (second, config, limit) in
        [("", only_idle(), quick().idle_timeout), ("GET / HT", only_head(), quick().head_timeout)]
    {
        let served = Served::start(&config, |request, _| echo(request));
        let mut stream = served.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        crate::serving::response(&mut stream).await;
        let life = life(stream, second).await;
        assert!(life + Duration::from_millis(50) >= limit, "{second:?} closed after {life:?}");
        served.stop().await;
    }
}

#[tokio::test]
async fn a_handler_that_thinks_longer_than_every_timeout_is_not_cut() {
    let served = Served::start(&quick(), |_, _| async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        Response::new(Full::from("thought"))
    });
    assert!(served.get("/").await.ends_with("thought"));
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_pauses_fails_the_read_and_closes_the_connection() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let answer = served.say("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nhalf").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("No more of the body arrived"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_drips_longer_than_the_total_fails() {
    let config = Config { body_total: Duration::from_millis(900), ..quick() };
    let served = Served::start(&config, |request, _| echo(request));
    let mut stream = served.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n").await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let drip = async {
        for _ in 0..50 {
            if write.write_all(b"x").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let answer = async {
        let mut bytes = [0; 4096];
        let count = read.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let answer = tokio::select! { answer = answer => answer, () = drip => panic!("never refused") };
    assert!(answer.contains("The body took longer"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    // Dropped with the response's body, that is when hyper is done with it.
    struct Told(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    impl AsRef<[u8]> for Told {
        fn as_ref(&self) -> &[u8] {
            // More than the socket buffers of both ends hold.
            static MUCH: [u8; 32 << 20] = [0; 32 << 20];
            &MUCH
        }
    }
    let served = Served::start(&quick(), move |_, _| {
        let told = Told(ended.clone());
        async move { Response::new(Full::new(Bytes::from_owner(told))) }
    });
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let began = Instant::now();
    tokio::time::timeout(Duration::from_secs(10), end.recv()).await.expect("pinned for ever").unwrap();
    assert!(began.elapsed() >= Duration::from_millis(500), "cut after {:?}", began.elapsed());
    served.stop().await;
}

#[tokio::test]
async fn a_connection_whose_body_was_not_read_is_not_used_again() {
    let served = Served::start(&quick(), |_, _| async { Response::new(Full::from("no thanks")) });
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut stream = served.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 3000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    // May fail: the server is closing.
    let _ = stream.write_all(smuggled.as_bytes()).await;
    let answers = rest(&mut stream).await;
    assert_eq!(answers.matches("no thanks").count(), 1, "{answers}");
    served.stop().await;
}

#[tokio::test]
async fn above_the_cap_connections_wait_and_are_served_when_a_place_is_free() {
    let config = Config { connections: 2, workers: 1, ..quick() };
    let served = Served::start(&config, |request, _| echo(request));
    let (first, second) = (served.connect().await, served.connect().await);
    let third = served.get("/third");
    let mut third = Box::pin(third);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut third).await;
    assert!(early.is_err(), "served beyond the cap");
    drop(first);
    assert!(third.as_mut().await.contains("GET /third 0"));
    drop(third);
    drop(second);
    served.stop().await;
}
