//! What a client has written travels with it: the position of its last write in the database's log, and the marks of the
//! messages that told the other nodes of it.
//!
//! A cookie for browsers, a header for other clients, both signed, both ways. A node that gets one reads from no replica
//! that has not come so far, and from no memory that has not heard so much. Of several the furthest counts.
//!
//! # Invariants
//! - Nobody but a node of this application can raise a position: a forged one could send all reads to the primary, or say
//!   that the primary is an old one.
//! - A position is signed for one database cluster; in another it is no position.
//! - Where there is one process and one copy of the data, as on SQLite, nothing is read, signed or set.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use burgeon_core::{Ctx, Marks, Position};
use burgeon_db::{Db, Engine};

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
    before: Seen,
}

/// What a client has seen: the position, then, behind a blank, the marks.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    position: Position,
    marks: Marks,
}

impl Seen {
    fn of(ctx: &Ctx) -> Self {
        let marks = if ctx.is_marked() { ctx.marks() } else { Marks::none() };
        Self { position: ctx.position(), marks }
    }

    fn parse(text: &str) -> Option<Self> {
        let (position, marks) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self { position: position.parse().ok()?, marks: marks.parse().ok()? })
    }

    fn raise(&self, ctx: &Ctx) {
        ctx.advance(self.position);
        self.marks.iter().for_each(|mark| ctx.mark(mark));
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.marks.is_empty() {
            true => write!(f, "{}", self.position),
            false => write!(f, "{} {}", self.position, self.marks),
        }
    }
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
    // Nearly every request comes without; then nothing is computed.
    if fields.position.is_some() || fields.cookie.is_some() {
        let purpose = purpose(cluster);
        let open = |sealed: &str| -> Option<Seen> {
            Seen::parse(std::str::from_utf8(&keys.open(&purpose, sealed)?).ok()?)
        };
        let told = fields.position.and_then(|field| open(field.to_str().ok()?));
        let kept =
            fields.cookie.and_then(|_| open(&sent(headers, &own_name(COOKIE, is_secure(door, scheme)))?));
        for seen in told.into_iter().chain(kept) {
            seen.raise(ctx);
        }
    }
    let before = Seen::of(ctx);
    db.saw(before.position);
    Some(Carried { ctx: ctx.clone(), before })
}

/// Gives the client what the request has written.
pub(super) fn leave(door: &Door, carried: &Carried, scheme: Scheme, headers: &mut HeaderMap) {
    let now = Seen::of(&carried.ctx);
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

/// None where nothing can be behind. Zero stands for a database whose positions mean nothing, and whose nodes have marks.
fn parts(door: &Door) -> Option<(&Db, &Keys, u64)> {
    let db = door.database().filter(|db| db.engine() == Engine::Postgres)?;
    Some((db, door.keys()?, db.cluster().unwrap_or_default()))
}

fn purpose(cluster: u64) -> String {
    format!("position {cluster:x}")
}

fn is_secure(door: &Door, scheme: Scheme) -> bool {
    door.secure_cookies() || scheme == Scheme::Https
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use burgeon_db::Config;
    use burgeon_meter::Meters;
    use burgeon_runtime::Tasks;
    use burgeon_services::Postgres;
    use jiff::Timestamp;

    use super::*;
    use crate::keys::Ring;

    #[tokio::test]
    async fn a_position_is_forgotten_an_hour_and_the_leeway_after_it_was_given() {
        let now = Arc::new(AtomicI64::new(1_000_000));
        let told = now.clone();
        let clock = move || Timestamp::from_second(told.load(Ordering::Relaxed)).unwrap();
        let keys = Keys::from_ring(Ring::fixed(b"k"), clock);
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let mut config = Config::at(Postgres::shared().await.unwrap().create_database().await.unwrap());
        config.postgres.causal_position = true;
        let db = Db::open(&config, &tasks, &meters).await.unwrap();
        let door = Door::new().with_keys(keys).with_causal_reads(db);

        let arrived = |headers: &HeaderMap| {
            let ctx = Ctx::background();
            let carried = arrive(&door, &Fields::of(headers), headers, Scheme::Http, &ctx).unwrap();
            (ctx.position(), carried)
        };
        let (before, carried) = arrived(&HeaderMap::new());
        assert_eq!(before, Position::START);
        let seen: Position = "1:16/B374D848".parse().unwrap();
        carried.ctx.advance(seen);
        let mut answer = HeaderMap::new();
        leave(&door, &carried, Scheme::Http, &mut answer);
        let header = HeaderMap::from_iter([(HEADER, answer[HEADER].clone())]);
        let pair = answer[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().parse().unwrap();
        let cookie = HeaderMap::from_iter([(http::header::COOKIE, pair)]);
        let lifetime = (LIFETIME + crate::keys::LEEWAY).as_secs() as i64;
        for brought in [&header, &cookie] {
            for (later, believed) in [(0, seen), (lifetime - 1, seen), (lifetime, Position::START)] {
                now.store(1_000_000 + later, Ordering::Relaxed);
                assert_eq!(arrived(brought).0, believed, "{later} s later: {brought:?}");
            }
        }
    }
}
