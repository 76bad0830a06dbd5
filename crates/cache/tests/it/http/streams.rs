//! Bodies that do not fit, or do not come.

use std::time::Duration;

use burgeon_core::units::Size;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tower_service::Service as _;

use super::table::{Act, Body, request, site};

fn streamed(
    chunks: impl futures_util::Stream<Item = Result<&'static str, std::io::Error>> + Send + 'static,
) -> Act {
    let frames = chunks.map(|chunk| chunk.map(|chunk| Frame::data(Bytes::from(chunk))));
    let body: Body = StreamBody::new(frames).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert("cache-control", HeaderValue::from_static("max-age=60"));
    Act::Answer(response)
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_pieces_is_kept_whole() {
    let site = site(|_| {});
    site.handler.will(streamed(stream::iter(["one ", "two ", "three"].map(Ok))));
    assert_eq!(site.get("/").await.body, "one two three");
    let kept = site.get("/").await;
    assert_eq!((kept.body.as_str(), kept.cache_status().as_str()), ("one two three", "burgeon; hit; ttl=60"));
}

#[tokio::test(start_paused = true)]
async fn a_body_above_the_limit_streams_through_and_is_not_kept() {
    let site = site(|config| config.body_limit = Size::bytes(10));
    for _ in 0..2 {
        site.handler.will(streamed(stream::iter(["one ", "two ", "three"].map(Ok))));
    }
    let first = site.get("/").await;
    assert_eq!(first.body, "one two three");
    assert_eq!(first.cache_status(), "burgeon; fwd=uri-miss; detail=too-large");
    assert_eq!(site.get("/").await.cache_status(), "burgeon; fwd=uri-miss; detail=hit-for-miss");
    // Told at once by its length.
    site.handler.answers(200, "a longer body", &[("cache-control", "max-age=60")]);
    assert_eq!(site.get("/b").await.cache_status(), "burgeon; fwd=uri-miss; detail=too-large");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_an_end_reaches_its_reader_after_a_second() {
    let site = site(|_| {});
    let endless = stream::iter(["event"].map(Ok)).chain(stream::pending());
    site.handler.will(streamed(endless));
    let began = tokio::time::Instant::now();
    let response = site.service().call(request("GET /")).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(response.headers()["cache-status"], "burgeon; fwd=uri-miss; detail=incomplete");
    let first = response.into_body().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "event");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_breaks_off_for_its_reader_and_is_not_kept() {
    let site = site(|_| {});
    let broken = [Ok("one "), Err(std::io::Error::other("gone"))];
    site.handler.will(streamed(stream::iter(broken)));
    let first = site.get("/").await;
    assert_eq!(first.body, "broken: gone");
    assert_eq!(first.cache_status(), "burgeon; fwd=uri-miss; detail=incomplete");
    site.handler.will(streamed(stream::iter([Ok("whole")])));
    let second = site.get("/").await;
    assert_eq!(
        (second.body.as_str(), second.cache_status().as_str()),
        ("whole", "burgeon; fwd=uri-miss; stored")
    );
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_by_its_bytes() {
    let site = site(|config| {
        config.size = Size::kib(64);
        config.body_limit = Size::kib(8);
    });
    let body = "x".repeat(4_000);
    for index in 0..200 {
        site.handler.answers(200, &body, &[("cache-control", "max-age=60")]);
        site.get(&format!("/{index}")).await;
    }
    let view = site.responses.cache().view();
    assert!(view.weight <= 64 * 1024, "{view:?}");
    assert!(view.entries >= 10, "{view:?}");
}
