//! What a client has written travels with it: the position of its last write in the database's log.
//!
//! A cookie for browsers, a header for other clients, both signed, both ways. A node that gets one reads from no replica
//! that has not come so far. Of several the furthest counts.
//!
//! # Invariants
//! - Nobody but a node of this application can raise a position: a forged one could send all reads to the primary, or say
//!   that the primary is an old one.
//! - A position is signed for one database cluster; in another it is no position.
//! - Where the database has no replicas nothing is read, signed or set.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use burgeon_core::{Ctx, Position};
use burgeon_db::Db;

use super::fields::Fields;
use crate::Scheme;
use crate::cookies::{Cookie, own_name, sent};
use crate::door::Door;
use crate::keys::Keys;

const HEADER: HeaderName = HeaderName::from_static("burgeon-position");
const COOKIE: &str = "position";
/// How long a client remembers: much longer than any replica that is still asked may lag.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The context of a request, and where it stood when the request came.
#[derive(Debug)]
pub(super) struct Carried {
    ctx: Ctx,
    before: Position,
}

/// Raises the context to what the client has seen.
pub(super) fn arrive(
    door: &Door,
    fields: &Fields<'_>,
    headers: &HeaderMap,
    scheme: Scheme,
    ctx: &Ctx,
) -> Option<Carried> {
    let (db, keys, cluster) = parts(door)?;
    let purpose = purpose(cluster);
    let open = |sealed: &str| -> Option<Position> {
        std::str::from_utf8(&keys.open(&purpose, sealed)?).ok()?.parse().ok()
    };
    let told = fields.position.and_then(|field| open(field.to_str().ok()?));
    let kept = fields.cookie.and_then(|_| open(&sent(headers, &own_name(COOKIE, is_secure(door, scheme)))?));
    for position in told.into_iter().chain(kept) {
        ctx.advance(position);
    }
    let before = ctx.position();
    db.saw(before);
    Some(Carried { ctx: ctx.clone(), before })
}

/// Gives the client what the request has written.
pub(super) fn leave(door: &Door, carried: &Carried, scheme: Scheme, headers: &mut HeaderMap) {
    let now = carried.ctx.position();
    if now == carried.before {
        return;
    }
    let Some((_, keys, cluster)) = parts(door) else { return };
    let sealed = keys.seal(&purpose(cluster), now.to_string().as_bytes(), LIFETIME);
    let set = sealed.and_then(|sealed| {
        let secure = is_secure(door, scheme);
        let cookie = Cookie::new(own_name(COOKIE, secure), &*sealed).with_max_age(LIFETIME).header(secure)?;
        let header = HeaderValue::from_str(&sealed).map_err(burgeon_core::Error::internal)?;
        Ok((cookie, header))
    });
    match set {
        Ok((cookie, header)) => {
            headers.append(SET_COOKIE, cookie);
            headers.insert(HEADER, header);
        }
        // The write stands; its next read may be older than it, which the log shall say.
        Err(error) => {
            tracing::error!(error = error.detail(), "a client could not be given the position of its write")
        }
    }
}

fn parts(door: &Door) -> Option<(&Db, &Keys, u64)> {
    let db = door.database()?;
    Some((db, door.keys()?, db.cluster()?))
}

fn purpose(cluster: u64) -> String {
    format!("position {cluster:x}")
}

fn is_secure(door: &Door, scheme: Scheme) -> bool {
    door.secure_cookies() || scheme == Scheme::Https
}
