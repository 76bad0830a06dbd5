//! Which requests are the same.

use super::table::check;

#[tokio::test(start_paused = true)]
async fn one_address_is_one_entry_however_it_is_written() {
    check(TABLE).await;
}

pub(super) const TABLE: &str = r#"
== the order of parameters means nothing, their values and names do
@0 GET /a?x=1&y=2 => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET /a?y=2&x=1 | 200 one burgeon; hit; ttl=59
@1 GET /a?y=1&x=2 => 200 two | 200 two burgeon; fwd=uri-miss; detail=no-lifetime

== parameters that mean nothing are left out [ignore=utm_*]
@0 GET /a?utm_source=mail&x=1 => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET /a?x=1 | 200 one burgeon; hit; ttl=59

== escapes that need not be are none
@0 GET /%7Eada/%c3%a9 => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET /~ada/%C3%A9 | 200 one burgeon; hit; ttl=59

== another host is another site
@0 GET / => 200 one {cache-control: max-age=60} | 200 one burgeon; fwd=uri-miss; stored
@1 GET / {host: SHOP.example:80} | 200 one burgeon; hit; ttl=59
@1 GET / {host: other.example} => 200 other | 200 other burgeon; fwd=uri-miss; detail=no-lifetime
"#;
