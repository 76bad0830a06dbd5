//! When something stale is better than waiting, or than nothing: RFC 5861, and RFC 9111, 4.2.4.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_served_where_its_response_allows_it() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== stale-while-revalidate: at once, and one fetch behind it
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=20} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / ~> 200 two {cache-control: max-age=10, stale-while-revalidate=20} | 200 one {age: 15} burgeon; hit; ttl=-5; detail=stale-while-revalidate
@16 GET / | 200 two {age: 1} burgeon; hit; ttl=9

== beyond that everybody waits
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=20} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== the fetch behind asks whether it is the same
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=20} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / ~> [if-none-match: "a"] 304 - | 200 one burgeon; hit; ttl=-5; detail=stale-while-revalidate
@16 GET / | 200 one {age: 1} burgeon; hit; ttl=9

== must-revalidate goes before it
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=20, must-revalidate} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== s-maxage does not, because the response says so itself
@0 GET / => 200 one {cache-control: s-maxage=10, stale-while-revalidate=20} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / ~> 200 two {cache-control: max-age=10} | 200 one burgeon; hit; ttl=-5; detail=stale-while-revalidate

== the settings may say it where the response does not [revalidate=20]
@0 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / ~> 200 two {cache-control: max-age=10} | 200 one burgeon; hit; ttl=-5; detail=stale-while-revalidate

== but not against s-maxage [revalidate=20]
@0 GET / => 200 one {cache-control: s-maxage=10} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / => 200 two {cache-control: s-maxage=10} | 200 two burgeon; fwd=stale; stored

== a request that wants a new one waits for it
@0 GET / => 200 one {cache-control: max-age=10, stale-while-revalidate=20} | 200 one burgeon; fwd=uri-miss; stored
@15 GET / {cache-control: no-cache} => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== stale-if-error: instead of a failure, which is then not tried again for 30 s
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=60} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 503 down | 200 one {age: 20} burgeon; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error
@21 GET / | 200 one {age: 21} burgeon; hit; ttl=-11; detail=stale-if-error
@51 GET / => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== each of 500, 502 and 504 is a failure
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=600} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 500 down | 200 one burgeon; fwd=stale; fwd-status=500; ttl=-10; detail=stale-if-error
@60 GET / => 502 down | 200 one burgeon; fwd=stale; fwd-status=502; ttl=-50; detail=stale-if-error
@100 GET / => 504 down | 200 one burgeon; fwd=stale; fwd-status=504; ttl=-90; detail=stale-if-error

== 404 is none, and takes its place
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=60} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 404 none {cache-control: max-age=10} | 404 none burgeon; fwd=stale; stored
@21 GET / | 404 none burgeon; hit; ttl=9

== beyond that the failure goes out, and the old one is still there to be confirmed
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=60} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@70 GET / => 503 down | 503 down burgeon; fwd=stale
@71 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== must-revalidate goes before it, too
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=60, must-revalidate} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 503 down | 503 down burgeon; fwd=stale

== without it a failure is a failure
@0 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 503 down | 503 down burgeon; fwd=stale
@21 GET / => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== the settings may say it where the response does not [if-error=60]
@0 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 503 down | 200 one burgeon; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error

== a handler that breaks is a failure
@0 GET / => 200 one {cache-control: max-age=10, stale-if-error=60} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => panic | 200 one burgeon; fwd=stale; ttl=-10; detail=stale-if-error
@21 GET / => 200 two {cache-control: max-age=10} | 200 two burgeon; fwd=stale; stored

== and without anything to stand in for it an error
@0 GET / => panic | 500 * {content-type: application/problem+json} burgeon; fwd=uri-miss; detail=broken
@1 GET / => 200 one {cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored

== one that hangs likewise, after 10 s
@0 GET / => hang | 504 * burgeon; fwd=uri-miss; detail=timeout
@11 GET / => 200 one {cache-control: max-age=10, stale-if-error=600} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / => hang | 200 one {age: 29} burgeon; fwd=stale; ttl=-19; detail=stale-if-error
"#;
