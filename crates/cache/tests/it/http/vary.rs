//! Responses of one address that differ by what was asked: RFC 9111, 4.1.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn each_variant_is_kept_for_those_who_want_it() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== one place for each value
@0 GET / {accept-language: de} => 200 eins {cache-control: max-age=60} {vary: accept-language} | 200 eins burgeon; fwd=uri-miss; stored
@1 GET / {accept-language: en} => 200 one {cache-control: max-age=60} {vary: Accept-Language} | 200 one burgeon; fwd=vary-miss; stored
@2 GET / {accept-language: de} | 200 eins burgeon; hit; ttl=58
@2 GET / {accept-language: en} | 200 one burgeon; hit; ttl=59
@2 GET / => 200 none {cache-control: max-age=60} {vary: accept-language} | 200 none burgeon; fwd=vary-miss; stored
@3 GET / | 200 none burgeon; hit; ttl=59

== that a field is not there is another value than nothing
@0 GET / {x-mode: } => 200 empty {cache-control: max-age=60} {vary: x-mode} | 200 empty burgeon; fwd=uri-miss; stored
@1 GET / => 200 none {cache-control: max-age=60} {vary: x-mode} | 200 none burgeon; fwd=vary-miss; stored
@2 GET / {x-mode: } | 200 empty burgeon; hit; ttl=58
@2 GET / | 200 none burgeon; hit; ttl=59

== the same written otherwise is the same
@0 GET / {accept-language: de, en;q=0.8} => 200 eins {cache-control: max-age=60} {vary: accept-language} | 200 eins burgeon; fwd=uri-miss; stored
@1 GET / {accept-language: DE,en; q=0.80} | 200 eins burgeon; hit; ttl=59
@1 GET / {accept-language: en;q=0.8} {accept-language: de} | 200 eins burgeon; hit; ttl=59

== of a field of no known form every letter counts
@0 GET / {x-mode: a} => 200 a {cache-control: max-age=60} {vary: x-mode} | 200 a burgeon; fwd=uri-miss; stored
@1 GET / {x-mode: A} => 200 A {cache-control: max-age=60} {vary: x-mode} | 200 A burgeon; fwd=vary-miss; stored

== by several fields
@0 GET / {accept-language: de} {x-mode: a} => 200 de-a {cache-control: max-age=60} {vary: x-mode, accept-language} | 200 de-a burgeon; fwd=uri-miss; stored
@1 GET / {accept-language: de} {x-mode: b} => 200 de-b {cache-control: max-age=60} {vary: accept-language} {vary: x-mode} | 200 de-b burgeon; fwd=vary-miss; stored
@2 GET / {x-mode: a} {accept-language: de} | 200 de-a burgeon; hit; ttl=58

== what differs by more later is found by more
@0 GET / {x-mode: a} => 200 one {cache-control: max-age=60} {vary: x-mode} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {x-mode: b} {x-also: 1} => 200 two {cache-control: max-age=60} {vary: x-mode, x-also} | 200 two burgeon; fwd=vary-miss; stored
@2 GET / {x-mode: b} {x-also: 2} => 200 three {cache-control: max-age=60} {vary: x-mode, x-also} | 200 three burgeon; fwd=vary-miss; stored
@3 GET / {x-mode: b} {x-also: 1} | 200 two burgeon; hit; ttl=58

== a stale variant is confirmed by itself
@0 GET / {x-mode: a} => 200 one {cache-control: max-age=10} {vary: x-mode} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@0 GET / {x-mode: b} => 200 two {cache-control: max-age=10} {vary: x-mode} {etag: "b"} | 200 two burgeon; fwd=vary-miss; stored
@20 GET / {x-mode: b} => [if-none-match: "b"] 304 - | 200 two burgeon; fwd=stale; fwd-status=304; stored

== by everything is by too much
@0 GET / => 200 one {cache-control: max-age=60} {vary: *} | 200 one burgeon; fwd=uri-miss; detail=vary

== in whatever company
@0 GET / => 200 one {cache-control: max-age=60} {vary: x-mode, *} | 200 one burgeon; fwd=uri-miss; detail=vary
@0 GET /b => 200 one {cache-control: max-age=60} {vary: } {vary: *} | 200 one burgeon; fwd=uri-miss; detail=vary

== by who asks, too
@0 GET / => 200 one {cache-control: public, max-age=60} {vary: cookie} | 200 one burgeon; fwd=uri-miss; detail=vary
@0 GET /b => 200 one {cache-control: public, max-age=60} {vary: accept, authorization} | 200 one burgeon; fwd=uri-miss; detail=vary

== the oldest variant leaves when there are too many [variants=2]
@0 GET / {x-mode: a} => 200 a {cache-control: max-age=60} {vary: x-mode} | 200 a burgeon; fwd=uri-miss; stored
@1 GET / {x-mode: b} => 200 b {cache-control: max-age=60} {vary: x-mode} | 200 b burgeon; fwd=vary-miss; stored
@2 GET / {x-mode: c} => 200 c {cache-control: max-age=60} {vary: x-mode} | 200 c burgeon; fwd=vary-miss; stored
@3 GET / {x-mode: b} | 200 b burgeon; hit; ttl=58
@3 GET / {x-mode: c} | 200 c burgeon; hit; ttl=59
@3 GET / {x-mode: a} => 200 a2 {cache-control: max-age=60} {vary: x-mode} | 200 a2 burgeon; fwd=vary-miss; stored
"#;
