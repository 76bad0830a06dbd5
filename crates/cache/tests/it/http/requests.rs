//! What a request may want of a cache: RFC 9111, 5.2.1, and the methods.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn a_request_gets_what_it_accepts() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== no-cache wants a new one, which all have from then on
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {cache-control: no-cache} => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=request; stored
@2 GET / | 200 two burgeon; hit; ttl=59

== or a confirmed one
@0 GET / => 200 one {cache-control: max-age=60} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {cache-control: no-cache} => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=request; fwd-status=304; stored

== Pragma says it in HTTP/1.0
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {pragma: no-cache} => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=request; stored
@2 GET / {pragma: no-cache} {cache-control: max-age=30} | 200 two burgeon; hit; ttl=59

== max-age wants none older
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@10 GET / {cache-control: max-age=10} | 200 one burgeon; hit; ttl=50
@11 GET / {cache-control: max-age=10} => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=request; stored
@11 GET / {cache-control: max-age=0} => 200 three {cache-control: max-age=60} | 200 three burgeon; fwd=request; stored

== and none that is stale, unless it says so
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=60} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / {cache-control: max-age=30, max-stale=20} ~> 200 two {cache-control: max-age=10, stale-while-revalidate=60} | 200 one burgeon; hit; ttl=-5; detail=stale-while-revalidate
@30 GET / {cache-control: max-age=30} => 200 three {cache-control: max-age=10} | 200 three burgeon; fwd=stale; stored

== min-fresh wants one that lasts
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / {cache-control: min-fresh=30} | 200 one burgeon; hit; ttl=30
@31 GET / {cache-control: min-fresh=30} => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=request; stored

== max-stale accepts a stale one
@0 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@13 GET / {cache-control: max-stale=3} | 200 one {age: 13} burgeon; hit; ttl=-3
@14 GET / {cache-control: max-stale} | 200 one burgeon; hit; ttl=-4
@14 GET / {cache-control: max-stale=3} => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== unless the response forbids that
@0 GET / => 200 one {cache-control: max-age=10, must-revalidate} | 200 one burgeon; fwd=uri-miss; stored
@13 GET / {cache-control: max-stale} => 200 two {cache-control: max-age=10, proxy-revalidate} | 200 two burgeon; fwd=stale; stored
@26 GET / {cache-control: max-stale} => 200 three {cache-control: s-maxage=10} | 200 three burgeon; fwd=stale; stored
@39 GET / {cache-control: max-stale} => 200 four {cache-control: max-age=10, no-cache} {etag: "a"} | 200 four burgeon; fwd=stale; stored
@40 GET / {cache-control: max-stale} => 304 - | 200 four burgeon; fwd=stale; fwd-status=304; stored

== only-if-cached asks nobody
@0 GET / {cache-control: only-if-cached} | 504 * {content-type: application/problem+json} burgeon; detail=only-if-cached
@0 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@9 GET / {cache-control: only-if-cached} | 200 one burgeon; hit; ttl=1
@11 GET / {cache-control: only-if-cached} | 504 * burgeon; detail=only-if-cached
@11 GET / {cache-control: only-if-cached, max-stale=1} | 200 one burgeon; hit; ttl=-1

== no-store keeps nothing of it, and may be answered by what is there
@0 GET / {cache-control: no-store} => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; detail=request-no-store
@1 GET / => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=uri-miss; stored
@2 GET / {cache-control: no-store} | 200 two burgeon; hit; ttl=59

== HEAD is answered from what GET has brought
@0 GET / => 200 one {cache-control: max-age=60} {x-one: 1} | 200 one burgeon; fwd=uri-miss; stored
@1 HEAD / | 200 - {content-length: 3} {x-one: 1} burgeon; hit; ttl=59

== and brings what GET is answered from
@0 HEAD / => 200 one {cache-control: max-age=60} | 200 - {content-length: 3} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one burgeon; hit; ttl=59

== also where it is not kept
@0 HEAD / => 200 one | 200 - {content-length: 3} burgeon; fwd=uri-miss; detail=no-lifetime

== a range is the handler's affair
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {range: bytes=0-1} => [range: bytes=0-1] 206 on {content-range: bytes 0-1/3} | 206 on burgeon; fwd=bypass; detail=range

== so is a precondition
@0 GET / {if-match: "a"} => 412 - | 412 - burgeon; fwd=bypass; detail=precondition
@0 GET / {if-unmodified-since: $(0)} => 200 one | 200 one burgeon; fwd=bypass; detail=precondition

== and a GET with a body, and a connection that wants to be something else
@0 GET / body => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=bypass; detail=body
@0 GET / {upgrade: websocket} => 101 - | 101 - burgeon; fwd=bypass; detail=upgrade

== what is not read is not kept
@0 POST / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=method
@1 OPTIONS / => 204 - {cache-control: max-age=60} | 204 - burgeon; fwd=method
@2 GET / => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=uri-miss; stored
@3 OPTIONS / => 204 - | 204 - burgeon; fwd=method
@4 GET / | 200 two burgeon; hit; ttl=58
"#;
