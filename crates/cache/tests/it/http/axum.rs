//! The same layer around somebody else's router.

use axum::Router;
use axum::routing::get;
use burgeon_cache::http::{Config, KeepFor, Responses};
use http::Request;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tower_service::Service as _;

use crate::house::house;

#[tokio::test(start_paused = true)]
async fn an_axum_router_is_cached_route_by_route_and_as_a_whole() {
    let house = house();
    let responses = Responses::new(&house.caches, "it", Config::default()).unwrap();
    let whole =
        Responses::new(&house.caches, "whole", Config { name: "outer".into(), ..Config::default() }).unwrap();
    let keep = KeepFor::new(Duration::from_secs(60)).tag("all").headers();
    let page = move || {
        let headers = keep.clone();
        async move { (headers, "hello") }
    };
    let mut router: Router = Router::new()
        .route("/kept", get(page).layer(responses.layer()))
        .route("/plain", get(async || "plain"))
        .layer(whole.layer());
    let mut ask = async |path: &str| {
        let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
        let (parts, body) = router.call(request).await.unwrap().into_parts();
        let status: Vec<String> = parts
            .headers
            .get_all("cache-status")
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        let body = body.collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), status.join(", "))
    };
    // The inner one takes its own word out of what goes out, so the outer one finds nothing that allows it to keep it.
    let first = ask("/kept").await;
    assert_eq!(first.0, "hello");
    assert_eq!(first.1, "burgeon; fwd=uri-miss; stored, outer; fwd=uri-miss; detail=private");
    assert_eq!(ask("/kept").await.1, "burgeon; hit; ttl=60, outer; fwd=uri-miss; detail=hit-for-miss");
    assert_eq!(
        ask("/plain").await,
        ("plain".to_owned(), "outer; fwd=uri-miss; detail=no-lifetime".to_owned())
    );
}
