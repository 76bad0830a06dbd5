//! Asking whether it is still the same: RFC 9111, 4.3, towards the handler and from the client.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_twice_what_is_the_same() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== no-cache is asked about at each use
@0 GET / => 200 one {cache-control: no-cache} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored
@2 GET / => [if-none-match: "a"] 200 two {cache-control: no-cache} {etag: "b"} | 200 two burgeon; fwd=stale; stored
@3 GET / => [if-none-match: "b"] 304 - | 200 two burgeon; fwd=stale; fwd-status=304; stored

== max-age=0 likewise
@0 GET / => 200 one {cache-control: max-age=0} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== without anything to ask by, no-cache is not kept
@0 GET / => 200 one {cache-control: no-cache} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime

== a 304 brings a new life and new headers
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} {x-one: 1} {x-two: 2} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: "a"] 304 - {cache-control: max-age=60} {etag: "a"} {x-one: 9} | 200 one {x-one: 9} {x-two: 2} {!age} burgeon; fwd=stale; fwd-status=304; stored
@70 GET / | 200 one {x-one: 9} {x-two: 2} {age: 50} {etag: "a"} burgeon; hit; ttl=10

== but not another body's length
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} {content-length: 3} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 304 - {cache-control: max-age=60} {content-length: 999} | 200 one {content-length: 3} burgeon; fwd=stale; fwd-status=304; stored

== the date of change asks as well
@0 GET / => 200 one {cache-control: max-age=10} {last-modified: $(-500)} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-modified-since: $(-500)] [!if-none-match] 304 - {cache-control: max-age=60} | 200 one burgeon; fwd=stale; fwd-status=304; stored

== a 304 for another one confirms nothing
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: "a"] 304 - {etag: "b"} => [!if-none-match] 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=stale; stored

== a strong one does not confirm a weak one
@0 GET / => 200 one {cache-control: max-age=10} {etag: W/"a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: W/"a"] 304 - {etag: "a"} => [!if-none-match] 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=stale; stored

== a weak one confirms its like
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: "a"] 304 - {etag: W/"a"} {cache-control: max-age=60} | 200 one burgeon; fwd=stale; fwd-status=304; stored

== a 304 of another date of change confirms nothing
@0 GET / => 200 one {cache-control: max-age=10} {last-modified: $(-500)} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 304 - {last-modified: $(-400)} => [!if-modified-since] 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=stale; stored

== both are asked by where there are both
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} {last-modified: $(-500)} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: "a"] [if-modified-since: $(-500)] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored

== a 304 replaces every field that it names, and no other
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} {content-type: text/plain} {content-location: /x} {x-list: 1} {x-list: 2} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 304 - {cache-control: max-age=60} {etag: "a"} {content-type: text/html} {x-list: 9} | 200 one {content-type: text/html} {content-location: /x} {x-list: 9} burgeon; fwd=stale; fwd-status=304; stored
@21 GET / | 200 one {content-type: text/html} {content-location: /x} {x-list: 9} burgeon; hit; ttl=59

== a 304 that is for the connection or for one alone leaves nothing of that
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 304 - {cache-control: max-age=60, private="x-who"} {etag: "a"} {x-who: ada} {connection: x-hop} {x-hop: 1} | 200 one {x-who: ada} {!x-hop} burgeon; fwd=stale; fwd-status=304; stored
@21 GET / | 200 one {!x-who} {!x-hop} burgeon; hit; ttl=59

== any other answer to the question takes its place
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => [if-none-match: "a"] 410 gone {cache-control: max-age=60} | 410 gone burgeon; fwd=stale; stored
@21 GET / | 410 gone burgeon; hit; ttl=59

== a 304 that says no-store ends it
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / => 304 - {cache-control: no-store} | 200 one burgeon; fwd=stale; detail=no-store
@21 GET / => [!if-none-match] 200 two {cache-control: no-store} | 200 two burgeon; fwd=uri-miss; detail=hit-for-miss

== a 304 that nobody asked for is nothing to keep
@0 GET / => [!if-none-match] 304 - {cache-control: max-age=60} | 304 - burgeon; fwd=uri-miss; detail=status

== a client that has it gets 304 from the cache
@0 GET / => 200 one {cache-control: max-age=60} {etag: "a"} {content-type: text/plain} {x-one: 1} | 200 one burgeon; fwd=uri-miss; stored
@10 GET / {if-none-match: "a"} | 304 - {etag: "a"} {age: 10} {cache-control: max-age=60} {!content-type} {!x-one} burgeon; hit; ttl=50
@10 GET / {if-none-match: W/"a"} | 304 - burgeon; hit; ttl=50
@10 GET / {if-none-match: "x", "a"} | 304 - burgeon; hit; ttl=50
@10 GET / {if-none-match: *} | 304 - burgeon; hit; ttl=50
@10 GET / {if-none-match: "b"} | 200 one burgeon; hit; ttl=50

== by the date of change, too
@0 GET / => 200 one {cache-control: max-age=60} {last-modified: $(-100)} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {if-modified-since: $(-100)} | 304 - {last-modified: $(-100)} burgeon; hit; ttl=59
@1 GET / {if-modified-since: $(-50)} | 304 - burgeon; hit; ttl=59
@1 GET / {if-modified-since: $(-101)} | 200 one burgeon; hit; ttl=59

== an entity tag goes before a date
@0 GET / => 200 one {cache-control: max-age=60} {etag: "a"} {last-modified: $(-100)} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {if-none-match: "b"} {if-modified-since: $(0)} | 200 one burgeon; hit; ttl=59

== the first who asks is answered by the cache, too, and the handler is not told
@0 GET / {if-none-match: "a"} => [!if-none-match] 200 one {cache-control: max-age=60} {etag: "a"} | 304 - burgeon; fwd=uri-miss; fwd-status=200; stored
@1 GET / | 200 one burgeon; hit; ttl=59

== also where it is not kept
@0 GET / {if-none-match: "a"} => [!if-none-match] 200 one {cache-control: private} {etag: "a"} | 304 - burgeon; fwd=uri-miss; fwd-status=200; detail=private
@1 GET / {if-none-match: "a"} => [if-none-match: "a"] 304 - {etag: "a"} | 304 - burgeon; fwd=uri-miss; detail=hit-for-miss

== a client that has what was just confirmed gets 304
@0 GET / => 200 one {cache-control: max-age=10} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@20 GET / {if-none-match: "a"} => [if-none-match: "a"] 304 - | 304 - burgeon; fwd=stale; fwd-status=304; stored

== what is no 200 has no condition
@0 GET / => 404 none {cache-control: max-age=60} {etag: "a"} | 404 none burgeon; fwd=uri-miss; stored
@1 GET / {if-none-match: "a"} | 404 none burgeon; hit; ttl=59
"#;
