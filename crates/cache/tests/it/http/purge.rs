//! What takes a response out before its time: unsafe methods (RFC 9111, 4.4), and tags.

use burgeon_cache::http::{Config, Responses};
use burgeon_core::Ctx;

use super::table::{check, site};
use crate::house::house;

#[tokio::test(start_paused = true)]
async fn what_was_changed_is_not_served_any_more() {
    check(TABLE).await;
}

#[tokio::test]
async fn responses_are_purged_after_the_values_that_they_may_be_made_of() {
    let house = house();
    let _pages = Responses::new(&house.caches, "pages", Config::default()).unwrap();
    let _product = house.caches.named::<u32, u32>("product").without_loader();
    let _lists = Responses::new(&house.caches, "lists", Config::default()).unwrap();
    let _card = house.caches.named::<u32, u32>("card").without_loader();
    let order = r#"made: ["product", "card", "pages", "lists"]"#;
    assert!(format!("{:?}", house.caches).contains(order), "{:?}", house.caches);
    let names: Vec<_> = house.caches.view().into_iter().map(|view| view.name).collect();
    assert_eq!(names, ["card", "lists", "pages", "product"], "people look for names");
}

pub(super) const TABLE: &str = r#"
== what changes an address purges it
@0 GET /a => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 POST /a => 303 - {location: /done} | 303 - burgeon; fwd=method
@2 GET /a => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=uri-miss; stored

== in all its variants
@0 GET /a {x-mode: a} => 200 one {cache-control: max-age=60} {vary: x-mode} | 200 one burgeon; fwd=uri-miss; stored
@0 GET /a {x-mode: b} => 200 two {cache-control: max-age=60} {vary: x-mode} | 200 two burgeon; fwd=vary-miss; stored
@1 DELETE /a => 204 - | 204 - burgeon; fwd=method
@2 GET /a {x-mode: b} => 200 three {cache-control: max-age=60} {vary: x-mode} | 200 three burgeon; fwd=uri-miss; stored
@2 GET /a {x-mode: a} => 200 four {cache-control: max-age=60} {vary: x-mode} | 200 four burgeon; fwd=vary-miss; stored

== and the addresses it names on this host
@0 GET /b => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@0 GET /c => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@0 GET /d => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 PUT /a => 201 - {location: /b} {content-location: https://shop.example/c} | 201 - burgeon; fwd=method
@1 PUT /a => 201 - {location: https://evil.example/d} | 201 - burgeon; fwd=method
@2 GET /b => 200 two | 200 two burgeon; fwd=uri-miss; detail=no-lifetime
@2 GET /c => 200 two | 200 two burgeon; fwd=uri-miss; detail=no-lifetime
@2 GET /d | 200 one burgeon; hit; ttl=58

== a method that nobody knows may change it, and one that is safe does not
@0 GET /a => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 OPTIONS /a => 204 - | 204 - burgeon; fwd=method
@2 GET /a | 200 one burgeon; hit; ttl=58
@3 M-SEARCH /a => 200 found {cache-control: max-age=60} | 200 found burgeon; fwd=method
@4 GET /a => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=uri-miss; stored

== what failed has changed nothing
@0 GET /a => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 POST /a => 422 - | 422 - burgeon; fwd=method
@2 GET /a | 200 one burgeon; hit; ttl=58

== a purge by tag removes, and no failure brings it back
@0 GET /a => 200 one {cache-control: max-age=60, stale-if-error=600} {surrogate-key: product:1 shelf} | 200 one {!surrogate-key} burgeon; fwd=uri-miss; stored
@0 GET /b => 200 one {cache-control: max-age=60} {cache-tag: product:2,shelf} | 200 one {!cache-tag} burgeon; fwd=uri-miss; stored
@1 !purge product:1
@2 GET /b | 200 one burgeon; hit; ttl=58
@2 GET /a => 503 down | 503 down burgeon; fwd=uri-miss
@3 !purge shelf
@4 GET /b => 200 two | 200 two burgeon; fwd=uri-miss; detail=no-lifetime

== a soft one makes it stale: it is confirmed
@0 GET / => 200 one {cache-control: max-age=60} {etag: "a"} {surrogate-key: shelf} | 200 one burgeon; fwd=uri-miss; stored
@1 !expire shelf
@2 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored
@3 GET / | 200 one burgeon; hit; ttl=59

== or served while a new one is fetched
@0 GET / => 200 one {cache-control: max-age=60, stale-while-revalidate=60} {surrogate-key: shelf} | 200 one burgeon; fwd=uri-miss; stored
@1 !expire shelf
@2 GET / ~> 200 two {cache-control: max-age=60} {surrogate-key: shelf} | 200 one burgeon; hit; ttl=0; detail=stale-while-revalidate
@3 GET / | 200 two burgeon; hit; ttl=59

== or when there is nothing better
@0 GET / => 200 one {cache-control: max-age=60, stale-if-error=60} {surrogate-key: shelf} | 200 one burgeon; fwd=uri-miss; stored
@1 !expire shelf
@2 GET / => 503 down | 200 one burgeon; fwd=stale; fwd-status=503; ttl=0; detail=stale-if-error

== but not because a client accepts what is stale
@0 GET / => 200 one {cache-control: max-age=60} {surrogate-key: shelf} | 200 one burgeon; fwd=uri-miss; stored
@1 !expire shelf
@2 GET / {cache-control: max-stale} => 200 two | 200 two burgeon; fwd=stale; detail=no-lifetime

== tags go out where a cache in front reads them [show=surrogate-key]
@0 GET / => 200 one {cache-control: max-age=60} {surrogate-key: shelf} {cache-tag: shelf} | 200 one {surrogate-key: shelf} {!cache-tag} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {surrogate-key: shelf} {!cache-tag} burgeon; hit; ttl=59
"#;

#[tokio::test(start_paused = true)]
async fn an_address_can_be_purged_by_hand() {
    let site = site(|_| {});
    for body in ["one", "two"] {
        site.handler.answers(200, body, &[("cache-control", "max-age=60")]);
    }
    assert_eq!(site.get("/a?x=1&y=2").await.body, "one");
    site.responses.invalidate_address(&Ctx::background(), "shop.example", "/a?y=2&x=1").unwrap();
    assert_eq!(site.get("/a?x=1&y=2").await.body, "two");
    assert!(site.responses.invalidate_address(&Ctx::background(), "shop.example", "no address").is_err());
}
