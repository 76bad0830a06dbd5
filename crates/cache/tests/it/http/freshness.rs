//! How long a response is fresh: RFC 9111, 4.2, and RFC 9213.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn a_response_is_fresh_for_as_long_as_it_says_to_this_cache() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== max-age makes it fresh
@0 GET / => 200 one {cache-control: max-age=60} | 200 one {!age} burgeon; fwd=uri-miss; stored
@59 GET / | 200 one {age: 59} burgeon; hit; ttl=1
@60 GET / => 200 two {cache-control: max-age=60} | 200 two {!age} burgeon; fwd=stale; stored
@61 GET / | 200 two {age: 1} burgeon; hit; ttl=59

== s-maxage goes before max-age
@0 GET / => 200 one {cache-control: max-age=10, s-maxage=60} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== max-age goes before Expires
@0 GET / => 200 one {cache-control: max-age=60} {expires: $(10)} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== Expires counts from Date, and what has passed since Date is age
@0 GET / => 200 one {date: $(-10)} {expires: $(50)} | 200 one {age: 10} burgeon; fwd=uri-miss; stored
@49 GET / | 200 one {age: 59} {date: $(-10)} burgeon; hit; ttl=1
@50 GET / => 200 two {expires: $(110)} | 200 two burgeon; fwd=stale; stored

== Expires without Date counts from now
@0 GET / => 200 one {expires: $(60)} | 200 one {date: $(0)} burgeon; fwd=uri-miss; stored
@59 GET / | 200 one {date: $(0)} burgeon; hit; ttl=1

== an Expires that cannot be read has passed
@0 GET / => 200 one {expires: 0} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime
@1 GET / => 200 two {expires: 0} | 200 two burgeon; fwd=uri-miss; detail=hit-for-miss

== an Age that comes with it counts
@0 GET / => 200 one {cache-control: max-age=60} {age: 40} | 200 one {age: 40} burgeon; fwd=uri-miss; stored
@10 GET / | 200 one {age: 50} burgeon; hit; ttl=10
@20 GET / => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=stale; stored

== of several ages the first counts, and what is no number is none
@0 GET / => 200 one {cache-control: max-age=60} {age: 40, 5} | 200 one {age: 40} burgeon; fwd=uri-miss; stored
@0 GET /b => 200 one {cache-control: max-age=60} {age: 5} {age: 40} | 200 one {age: 5} burgeon; fwd=uri-miss; stored
@0 GET /c => 200 one {cache-control: max-age=60} {age: +40} | 200 one {!age} burgeon; fwd=uri-miss; stored
@0 GET /d => 200 one {cache-control: max-age=60} {age: 4.5} | 200 one {!age} burgeon; fwd=uri-miss; stored
@0 GET /e => 200 one {cache-control: max-age=60} {etag: "a"} {age: 99999999999999999999} | 200 one {age: 2147483648} burgeon; fwd=uri-miss; stored
@1 GET /e => [if-none-match: "a"] 304 - {cache-control: max-age=60} | 200 one burgeon; fwd=stale; fwd-status=304; stored

== a date in any case is one, and one in another zone is none
@0 GET / => 200 one {expires: sun, 06 NOV 1994 08:50:37 gmt} | 200 one burgeon; fwd=uri-miss; stored
@59 GET / | 200 one burgeon; hit; ttl=1
@59 GET /b => 200 one {expires: Sun, 06 Nov 1994 10:50:37 UTC} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== an Expires that was before the Date has passed
@0 GET / => 200 one {date: $(0)} {expires: $(-10)} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@0 GET / => [if-none-match: "a"] 304 - {expires: $(60)} | 200 one burgeon; fwd=stale; fwd-status=304; stored

== a clock that goes after the origin's makes nothing younger than new
@0 GET / => 200 one {cache-control: max-age=60} {date: $(30)} | 200 one {!age} burgeon; fwd=uri-miss; stored
@59 GET / | 200 one {age: 59} burgeon; hit; ttl=1

== a Date that cannot be read is none
@0 GET / => 200 one {date: yesterday} {expires: $(60)} | 200 one burgeon; fwd=uri-miss; stored
@59 GET / | 200 one burgeon; hit; ttl=1

== s-maxage=0 goes before a long max-age
@0 GET / => 200 one {cache-control: max-age=60, s-maxage=0} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== no-cache goes before a long max-age
@0 GET / => 200 one {cache-control: max-age=60, no-cache} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== no part of any time goes before an Expires that has passed [heuristic=0.1]
@0 GET / => 200 one {last-modified: $(-1000)} {expires: 0} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== of two max-age the first counts
@0 GET / => 200 one {cache-control: max-age=60, max-age=5} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== a max-age that is no number is stale at once
@0 GET / => 200 one {cache-control: max-age=soon} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== a max-age in quotes is one
@0 GET / => 200 one {cache-control: max-age="60"} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== a max-age beyond all numbers is the largest
@0 GET / => 200 one {cache-control: max-age=99999999999999999999} | 200 one burgeon; fwd=uri-miss; stored
@100 GET / | 200 one burgeon; hit; ttl=2147483548

== what says nothing is not kept
@0 GET / => 200 one | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== nor what only says when it changed
@0 GET / => 200 one {last-modified: $(-1000)} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== unless a part of the time since then is to be enough [heuristic=0.1]
@0 GET / => 200 one {last-modified: $(-1000)} | 200 one burgeon; fwd=uri-miss; stored
@99 GET / | 200 one burgeon; hit; ttl=1
@100 GET / => [if-modified-since: $(-1000)] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== at most a day of it [heuristic=0.1]
@0 GET / => 200 one {last-modified: $(-100000000)} | 200 one burgeon; fwd=uri-miss; stored
@86399 GET / | 200 one burgeon; hit; ttl=1

== and not for a status that nobody would guess about [heuristic=0.1]
@0 GET / => 302 - {last-modified: $(-1000)} | 302 - burgeon; fwd=uri-miss; detail=no-lifetime

== a targeted field goes before Cache-Control, and ours does not go out
@0 GET / => 200 one {burgeon-cache-control: max-age=60} {cache-control: no-store}
  | 200 one {!burgeon-cache-control} {cache-control: no-store} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {!burgeon-cache-control} {cache-control: no-store} burgeon; hit; ttl=59

== the one for CDNs counts, too, and goes on to them
@0 GET / => 200 one {cdn-cache-control: max-age=60} {cache-control: private} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {cdn-cache-control: max-age=60} burgeon; hit; ttl=59

== ours goes before it
@0 GET / => 200 one {burgeon-cache-control: max-age=60} {cdn-cache-control: max-age=10} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== a targeted field may forbid what Cache-Control allows
@0 GET / => 200 one {burgeon-cache-control: no-store} {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; detail=no-store

== one that cannot be read is not there
@0 GET / => 200 one {burgeon-cache-control: max-age=, public} {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== of a targeted field the last word counts, and what stands behind a semicolon is for others
@0 GET / => 200 one {burgeon-cache-control: max-age=5, max-age=60;why=test} | 200 one burgeon; fwd=uri-miss; stored
@30 GET / | 200 one burgeon; hit; ttl=30

== of the wrong type it says nothing, and Cache-Control does not count either
@0 GET / => 200 one {cdn-cache-control: max-age="60"} {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== what is false in it is not said
@0 GET / => 200 one {cdn-cache-control: max-age=60, no-store=?0} | 200 one burgeon; fwd=uri-miss; stored

== a targeted field may be of several lines
@0 GET / => 200 one {cdn-cache-control: public} {cdn-cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored

== beside a targeted field Expires does not count
@0 GET / => 200 one {burgeon-cache-control: public} {expires: $(60)} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== immutable changes nothing about how long
@0 GET / => 200 one {cache-control: max-age=60, immutable} | 200 one burgeon; fwd=uri-miss; stored
@59 GET / | 200 one burgeon; hit; ttl=1
@60 GET / => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=stale; stored
"#;
