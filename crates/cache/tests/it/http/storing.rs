//! What is kept and what never: RFC 9111, 3.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_that_is_not_for_others() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== no-store is not kept
@0 GET / => 200 one {cache-control: no-store, max-age=60} | 200 one burgeon; fwd=uri-miss; detail=no-store
@1 GET / => 200 two {cache-control: no-store, max-age=60} | 200 two burgeon; fwd=uri-miss; detail=hit-for-miss

== private is not kept
@0 GET / => 200 one {cache-control: private, max-age=60} | 200 one burgeon; fwd=uri-miss; detail=private
@1 GET / => 200 two {cache-control: max-age=60} | 200 two burgeon; fwd=uri-miss; detail=hit-for-miss
@2 GET / => 200 three {cache-control: max-age=60} | 200 three burgeon; fwd=uri-miss; stored
@3 GET / | 200 three burgeon; hit; ttl=59

== the mark of what is not for others ends by itself [pass=10]
@0 GET / => 200 one {cache-control: private} | 200 one burgeon; fwd=uri-miss; detail=private
@9 GET / => 200 two {cache-control: private} | 200 two burgeon; fwd=uri-miss; detail=hit-for-miss
@11 GET / => 200 three {cache-control: private} | 200 three burgeon; fwd=uri-miss; detail=private

== private fields are for the one who asked, the rest is kept
@0 GET / => 200 one {cache-control: max-age=60, private="x-who, x-what"} {x-who: ada} {x-how: ok}
  | 200 one {x-who: ada} {x-how: ok} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {!x-who} {x-how: ok} burgeon; hit; ttl=59

== in a variant, too
@0 GET / {x-mode: a} => 200 one {cache-control: max-age=60, private="x-who"} {vary: x-mode} {x-who: ada} | 200 one {x-who: ada} burgeon; fwd=uri-miss; stored
@1 GET / {x-mode: a} | 200 one {!x-who} burgeon; hit; ttl=59
@1 GET / {x-mode: b} => 200 two {cache-control: max-age=60, private="x-who"} {vary: x-mode} {x-who: bob} | 200 two {x-who: bob} burgeon; fwd=vary-miss; stored
@2 GET / {x-mode: b} | 200 two {!x-who} burgeon; hit; ttl=59

== private without a list goes before one with a list
@0 GET / => 200 one {cache-control: max-age=60, private, private="x-who"} {x-who: ada} | 200 one {x-who: ada} burgeon; fwd=uri-miss; detail=private

== no-cache fields are left out, the rest is used
@0 GET / => 200 one {cache-control: max-age=60, no-cache="x-who"} {x-who: ada} | 200 one {x-who: ada} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {!x-who} burgeon; hit; ttl=59

== what sets a cookie is for one
@0 GET / => 200 one {cache-control: max-age=60} {set-cookie: session=1} | 200 one {set-cookie: session=1} burgeon; fwd=uri-miss; detail=set-cookie
@1 GET / => 200 two {cache-control: max-age=60} {set-cookie: session=2} | 200 two {set-cookie: session=2} burgeon; fwd=uri-miss; detail=hit-for-miss

== also when it says public
@0 GET / => 200 one {cache-control: public, s-maxage=60} {set-cookie: session=1} | 200 one burgeon; fwd=uri-miss; detail=set-cookie

== unless it says that the cookie alone is private
@0 GET / => 200 one {cache-control: max-age=60, private="set-cookie"} {set-cookie: session=1} | 200 one {set-cookie: session=1} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {!set-cookie} burgeon; hit; ttl=59

== an answer to credentials is for one
@0 GET / {authorization: Bearer a} => 200 ada {cache-control: max-age=60} | 200 ada burgeon; fwd=uri-miss; detail=authorization
@1 GET / {authorization: Bearer b} => 200 bob {cache-control: max-age=60} | 200 bob burgeon; fwd=uri-miss; detail=authorization
@2 GET / => 200 all {cache-control: max-age=60} | 200 all burgeon; fwd=uri-miss; stored

== what is kept is not for those with credentials either
@0 GET / => 200 all {cache-control: max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {authorization: Bearer a} => [authorization: Bearer a] 200 ada {cache-control: max-age=60} | 200 ada burgeon; fwd=request; detail=authorization
@2 GET / | 200 all burgeon; hit; ttl=58

== unless it is public
@0 GET / {authorization: Bearer a} => 200 all {cache-control: public, max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {authorization: Bearer b} | 200 all burgeon; hit; ttl=59
@1 GET / | 200 all burgeon; hit; ttl=59

== or s-maxage says so
@0 GET / {authorization: Bearer a} => 200 all {cache-control: s-maxage=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {authorization: Bearer b} | 200 all burgeon; hit; ttl=59

== or must-revalidate
@0 GET / {authorization: Bearer a} => 200 all {cache-control: max-age=60, must-revalidate} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {authorization: Bearer b} | 200 all burgeon; hit; ttl=59

== an answer to cookies is for one
@0 GET / {cookie: session=ada} => 200 ada {cache-control: max-age=60} | 200 ada burgeon; fwd=uri-miss; detail=cookie
@1 GET / {cookie: session=bob} => 200 bob {cache-control: max-age=60} | 200 bob burgeon; fwd=uri-miss; detail=cookie

== what is kept for all is not for those with cookies
@0 GET / => 200 all {cache-control: max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {cookie: session=ada} => [cookie: session=ada] 200 ada {cache-control: max-age=60} | 200 ada burgeon; fwd=request; detail=cookie
@2 GET / | 200 all burgeon; hit; ttl=58

== unless it is public, which must-revalidate is not
@0 GET / {cookie: session=ada} => 200 all {cache-control: public, max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {cookie: session=bob} | 200 all burgeon; hit; ttl=59
@2 GET /b {cookie: session=ada} => 200 ada {cache-control: max-age=60, must-revalidate} | 200 ada burgeon; fwd=uri-miss; detail=cookie

== a cookie that makes nobody a person does not count, alone
@0 GET / {cookie: position=1-2; __Host-position=3} => 200 all {cache-control: max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {cookie: position=9} | 200 all burgeon; hit; ttl=59
@2 GET / {cookie: position=9; session=ada} => 200 ada | 200 ada burgeon; fwd=request; detail=cookie

== an anonymous cache's handler sees neither cookies nor credentials [anonymous]
@0 GET / {cookie: session=ada} {authorization: Bearer a} => [!cookie] [!authorization] 200 all {cache-control: max-age=60} | 200 all burgeon; fwd=uri-miss; stored
@1 GET / {cookie: session=bob} | 200 all burgeon; hit; ttl=59
@2 GET / {authorization: Bearer b} | 200 all burgeon; hit; ttl=58

== who must be understood may be, without no-store counting
@0 GET / => 200 one {cache-control: max-age=60, must-understand, no-store} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / | 200 one burgeon; hit; ttl=59

== a status nobody knows is not kept when it must be understood
@0 GET / => 299 one {cache-control: max-age=60, must-understand} | 299 one burgeon; fwd=uri-miss; detail=status

== otherwise it is, by its own word
@0 GET / => 299 one {cache-control: max-age=60} | 299 one burgeon; fwd=uri-miss; stored
@1 GET / | 299 one burgeon; hit; ttl=59

== a part is not kept
@0 GET / => 206 one {cache-control: max-age=60} {content-range: bytes 0-2/9} | 206 one burgeon; fwd=uri-miss; detail=status

== that there is nothing is kept for as long as it says
@0 GET / => 404 none {cache-control: max-age=10} | 404 none burgeon; fwd=uri-miss; stored
@9 GET / | 404 none burgeon; hit; ttl=1

== a redirect, too
@0 GET / => 301 - {cache-control: max-age=10} {location: /b} | 301 - {location: /b} burgeon; fwd=uri-miss; stored
@9 GET / | 301 - {location: /b} burgeon; hit; ttl=1

== an error, if it says so itself
@0 GET / => 503 down {cache-control: max-age=5} | 503 down burgeon; fwd=uri-miss; stored
@4 GET / | 503 down burgeon; hit; ttl=1

== and else not
@0 GET / => 503 down | 503 down burgeon; fwd=uri-miss
@1 GET / => 200 one {cache-control: max-age=5} | 200 one burgeon; fwd=uri-miss; stored

== what was announced longer than it is is not kept
@0 GET / => 200 one {cache-control: max-age=60} {content-length: 4} | 200 one burgeon; fwd=uri-miss; detail=incomplete
@1 GET / => 200 one {cache-control: max-age=60} {content-length: 3} | 200 one burgeon; fwd=uri-miss; stored

== what is for the connection alone is left out
@0 GET / => 200 one {cache-control: max-age=60} {connection: x-here, close} {x-here: 1} {keep-alive: 5} {x-there: 1}
  | 200 one {!connection} {!x-here} {!keep-alive} {x-there: 1} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {!connection} {!x-here} {x-there: 1} burgeon; hit; ttl=59

== another cache's word stands before ours [name=second]
@0 GET / => 200 one {cache-control: max-age=60} {cache-status: first; hit; ttl=60} | 200 one first; hit; ttl=60, second; fwd=uri-miss; stored
@1 GET / | 200 one first; hit; ttl=60, second; hit; ttl=59

== no-cache alone allows to keep only what anybody might
@0 GET / => 302 - {cache-control: no-cache} {etag: "a"} | 302 - burgeon; fwd=uri-miss; detail=no-lifetime
@0 GET /b => 404 none {cache-control: no-cache} {etag: "a"} | 404 none burgeon; fwd=uri-miss; stored
@0 GET /c => 302 - {cache-control: no-cache, public} {etag: "a"} | 302 - burgeon; fwd=uri-miss; stored

== whatever stands before it in quotes, no-store is heard
@0 GET / => 200 one {cache-control: x="a\"b", no-store, max-age=60} | 200 one burgeon; fwd=uri-miss; detail=no-store
@0 GET /b => 200 one {cache-control: x="no-store", max-age=60} | 200 one burgeon; fwd=uri-miss; stored

== fields that nobody knows are kept, and those of proxies are not
@0 GET / => 200 one {cache-control: max-age=60} {x-new: 1} {proxy-authenticate: Basic} {proxy-authentication-info: a} | 200 one {x-new: 1} burgeon; fwd=uri-miss; stored
@1 GET / | 200 one {x-new: 1} {!proxy-authenticate} {!proxy-authentication-info} burgeon; hit; ttl=59

== public without a lifetime is worth keeping only if it can be confirmed
@0 GET / => 200 one {cache-control: public} | 200 one burgeon; fwd=uri-miss; detail=no-lifetime
@0 GET /b => 200 one {cache-control: public} {etag: "a"} | 200 one burgeon; fwd=uri-miss; stored
@1 GET /b => [if-none-match: "a"] 304 - | 200 one burgeon; fwd=stale; fwd-status=304; stored
"#;
