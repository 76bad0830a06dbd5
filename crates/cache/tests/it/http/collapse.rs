//! Many who ask for the same at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::watch;
use tower_layer::Layer as _;
use tower_service::Service;

use super::table::{Answered, Body, Site, request, response, site};

/// Answers each request with its own name, when the test lets it.
#[derive(Clone)]
struct Slow(Arc<Inner>);

struct Inner {
    asked: watch::Sender<u64>,
    open: watch::Sender<bool>,
    headers: Mutex<Vec<(&'static str, &'static str)>>,
    status: AtomicU64,
}

impl Slow {
    fn answering(headers: &[(&'static str, &'static str)]) -> Self {
        Self(Arc::new(Inner {
            asked: watch::Sender::new(0),
            open: watch::Sender::new(false),
            headers: Mutex::new(headers.to_vec()),
            status: AtomicU64::new(200),
        }))
    }

    fn times(&self) -> u64 {
        *self.0.asked.borrow()
    }

    async fn was_asked(&self, times: u64) {
        self.0.asked.subscribe().wait_for(|asked| *asked >= times).await.unwrap();
    }
}

impl Service<Request<Full<Bytes>>> for Slow {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), std::convert::Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move {
            let mut number = 0;
            inner.asked.send_modify(|asked| {
                number = *asked;
                *asked += 1;
            });
            inner.open.subscribe().wait_for(|open| *open).await.unwrap();
            let who = request.headers().get("x-who").map_or("", |who| who.to_str().unwrap());
            let status = inner.status.load(Ordering::Relaxed) as u16;
            Ok(response(status, Full::from(format!("{number}{who}")), &inner.headers.lock().unwrap()))
        })
    }
}

/// So many requests, the first of which has reached the handler before the others come.
async fn all_at_once(
    site: &Site,
    slow: &Slow,
    count: usize,
    text: impl Fn(usize) -> String,
) -> Vec<Answered> {
    let ask = |index: usize| {
        let mut service = site.layer.layer(slow.clone());
        let request = request(&text(index));
        async move { read(service.call(request).await.unwrap()).await }
    };
    let all = join_all((0..count).map(ask));
    let open = async {
        slow.was_asked(1).await;
        // Everybody has knocked by now: all of them were polled once before this went on.
        slow.0.open.send_replace(true);
    };
    tokio::join!(all, open).0
}

async fn read(response: Response<burgeon_cache::http::Body<Body>>) -> Answered {
    let (parts, body) = response.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn statuses(answers: &[Answered]) -> Vec<String> {
    let mut statuses: Vec<String> = answers.iter().map(Answered::cache_status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_want_the_same_ask_the_handler_once() {
    let (site, slow) = (site(|_| {}), Slow::answering(&[("cache-control", "max-age=60")]));
    let answers = all_at_once(&site, &slow, 1_000, |_| "GET /".to_owned()).await;
    assert_eq!(slow.times(), 1);
    assert!(answers.iter().all(|answer| answer.body == "0"));
    assert_eq!(
        statuses(&answers),
        ["burgeon; fwd=uri-miss; collapsed; stored", "burgeon; fwd=uri-miss; stored"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_private_is_never_given_to_those_who_waited_for_it() {
    for headers in [
        &[("cache-control", "private, max-age=60")][..],
        &[("cache-control", "max-age=60"), ("set-cookie", "session=1")],
        &[("cache-control", "no-store")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[],
    ] {
        let (site, slow) = (site(|_| {}), Slow::answering(headers));
        let answers = all_at_once(&site, &slow, 50, |index| format!("GET / {{x-who: u{index}}}")).await;
        for (index, answer) in answers.iter().enumerate() {
            assert!(answer.body.ends_with(&format!("u{index}")), "{headers:?}: {index} got {}", answer.body);
        }
        assert_eq!(slow.times(), 50, "{headers:?}");
        assert!(statuses(&answers).contains(&"burgeon; fwd=uri-miss; collapsed=?0".to_owned()));
        // From now on they do not wait for each other.
        let again = all_at_once(&site, &slow, 2, |index| format!("GET / {{x-who: v{index}}}")).await;
        assert_eq!(statuses(&again), ["burgeon; fwd=uri-miss; detail=hit-for-miss"], "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_somebodys_cookie_is_his_alone_among_those_who_wait() {
    let (site, slow) = (site(|_| {}), Slow::answering(&[("cache-control", "max-age=60")]));
    let text = |index: usize| match index % 2 {
        0 => format!("GET / {{x-who: u{index}}} {{cookie: session={index}}}"),
        _ => format!("GET / {{x-who: u{index}}} {{authorization: Bearer {index}}}"),
    };
    let answers = all_at_once(&site, &slow, 20, text).await;
    for (index, answer) in answers.iter().enumerate() {
        assert!(answer.body.ends_with(&format!("u{index}")), "{index} got {}", answer.body);
    }
    // From now on nobody with a cookie waits for another one; those without share.
    let again = all_at_once(&site, &slow, 20, text).await;
    assert_eq!(
        statuses(&again),
        ["burgeon; fwd=uri-miss; detail=authorization", "burgeon; fwd=uri-miss; detail=cookie"]
    );
    let before = slow.times();
    let strangers = all_at_once(&site, &slow, 20, |_| "GET /".to_owned()).await;
    assert_eq!(slow.times(), before + 1);
    assert!(strangers.iter().all(|answer| answer.body == strangers[0].body));
}

#[tokio::test(start_paused = true)]
async fn strangers_who_waited_for_somebodys_own_answer_share_one_of_theirs() {
    let (site, slow) = (site(|_| {}), Slow::answering(&[("cache-control", "max-age=60")]));
    let text = |index: usize| match index {
        0 => "GET / {cookie: session=1}".to_owned(),
        _ => "GET /".to_owned(),
    };
    let answers = all_at_once(&site, &slow, 20, text).await;
    assert_eq!(slow.times(), 2, "his, and everybody's");
    assert_eq!(answers[0].cache_status(), "burgeon; fwd=uri-miss; detail=cookie");
    let strangers = &answers[1..];
    assert!(
        strangers.iter().all(|answer| answer.body == strangers[0].body && answer.body != answers[0].body)
    );
    assert_eq!(
        statuses(strangers),
        ["burgeon; fwd=uri-miss; collapsed; stored", "burgeon; fwd=uri-miss; stored"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_cold_address_with_variants_asks_once_for_each_of_them() {
    let headers = [("cache-control", "max-age=60"), ("vary", "x-mode")];
    let (site, slow) = (site(|_| {}), Slow::answering(&headers));
    let text = |index: usize| format!("GET / {{x-mode: m{0}}} {{x-who: m{0}}}", index % 4);
    let answers = all_at_once(&site, &slow, 400, text).await;
    for (index, answer) in answers.iter().enumerate() {
        assert!(answer.body.ends_with(&format!("m{}", index % 4)), "{index} got {}", answer.body);
    }
    assert_eq!(slow.times(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_failing_handler_is_asked_once_by_all_who_wait() {
    let (site, slow) = (site(|_| {}), Slow::answering(&[]));
    slow.0.status.store(503, Ordering::Relaxed);
    let answers = all_at_once(&site, &slow, 100, |_| "GET /".to_owned()).await;
    assert_eq!(slow.times(), 1);
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert_eq!(statuses(&answers), ["burgeon; fwd=uri-miss", "burgeon; fwd=uri-miss; collapsed"]);
    // The next one tries again.
    slow.0.status.store(200, Ordering::Relaxed);
    assert_eq!(all_at_once(&site, &slow, 1, |_| "GET /".to_owned()).await[0].status, 200);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_takes_nobodys_answer_along() {
    let (site, slow) = (site(|_| {}), Slow::answering(&[("cache-control", "max-age=60")]));
    let mut service = site.layer.layer(slow.clone());
    let mut first = service.call(request("GET /"));
    let left = tokio::time::timeout(Duration::from_millis(1), &mut first).await;
    assert!(left.is_err());
    drop(first);
    slow.was_asked(1).await;
    let answers = all_at_once(&site, &slow, 10, |_| "GET /".to_owned()).await;
    assert_eq!(slow.times(), 1);
    assert!(answers.iter().all(|answer| answer.body == "0"));
}

#[tokio::test(start_paused = true)]
async fn while_it_revalidates_a_thousand_get_the_old_one_and_one_fetch_goes_on() {
    let headers = [("cache-control", "max-age=10, stale-while-revalidate=60")];
    let (site, slow) = (site(|_| {}), Slow::answering(&headers));
    all_at_once(&site, &slow, 1, |_| "GET /".to_owned()).await;
    slow.0.open.send_replace(false);
    tokio::time::advance(Duration::from_secs(15)).await;
    let mut service = site.layer.layer(slow.clone());
    for _ in 0..1_000 {
        let answer = read(service.call(request("GET /")).await.unwrap()).await;
        assert_eq!(answer.body, "0");
        assert_eq!(answer.cache_status(), "burgeon; hit; ttl=-5; detail=stale-while-revalidate");
    }
    slow.was_asked(2).await;
    slow.0.open.send_replace(true);
    site.house.landed().await;
    assert_eq!(read(service.call(request("GET /")).await.unwrap()).await.body, "1");
    assert_eq!(slow.times(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_the_handler_works_wins() {
    for headers in [
        &[("cache-control", "max-age=60"), ("surrogate-key", "shelf")][..],
        &[("cache-control", "max-age=60"), ("surrogate-key", "shelf"), ("vary", "x-mode")],
    ] {
        let (site, slow) = (site(|_| {}), Slow::answering(headers));
        let mut service = site.layer.layer(slow.clone());
        let first = service.call(request("GET /"));
        let purge = async {
            slow.was_asked(1).await;
            site.responses.invalidate_tag(&burgeon_core::Ctx::background(), "shelf");
            slow.0.open.send_replace(true);
        };
        let (first, ()) = tokio::join!(first, purge);
        // Whoever waited since before the purge may have it; it is not kept.
        let first = read(first.unwrap()).await;
        assert_eq!(first.body, "0", "{headers:?}");
        assert_eq!(first.cache_status(), "burgeon; fwd=uri-miss", "{headers:?}");
        assert_eq!(read(service.call(request("GET /")).await.unwrap()).await.body, "1", "{headers:?}");
        assert_eq!(read(service.call(request("GET /")).await.unwrap()).await.body, "1", "{headers:?}");
    }
}
