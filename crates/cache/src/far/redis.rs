//! The second tier in Redis: one hash for a cache's versions, and a string for each entry.
//!
//! ```text
//!   b2:APPLICATION:CACHE!           v, r, x, f, id, p, and a field for each stripe of keys and tags that was ever invalidated
//!   b2:APPLICATION:CACHE=           v, r, x and id once more, to be read beside entries
//!   b2:APPLICATION:CACHE:KEY@TYPE   version, time, when it was expired by hand, tags, bytes; it expires with its value
//!   b2:APPLICATION:CACHE?KEY        who loads it for all
//! ```
//!
//! A read is one plain command, `MGET` of what the cache shows and of the entries, for one key or many; that costs the server hardly more than
//! the bytes do. Everything else is one script, so it happens at once and in one round trip; a read, too, of a cache with tags, whose
//! stripes are known only from the entry. How old an entry is, is told by the server's clock: it is asked along with a
//! read once a second, and in between this process counts on from there.
//!
//! The cache's own hash never expires: at most 1,024 fences and three times 65,536 fields of tags, about 12 MiB if every stripe of tags was
//! used. If Redis evicts it, or loses its memory, the cache begins anew with a version of the clock, and whatever was there or
//! under way is dead. What it shows is written by the same scripts as itself; lost alone, it is written again.
//!
//! An invalidation takes the entries of a key away whatever their type: the hash says which types there are, and the scripts make the
//! names of their entries themselves.
//!
//! # Another primary
//! A promoted replica may not know the latest invalidations. So the hash holds who was the primary when it was last believed,
//! and a script that comes in over a connection to another one buries everything first. A write shows the primary that its
//! version came from, and is refused by another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_redis::{Command, Pipeline, Script, Value};
use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::store::{Answer, Burial, Entry, Place, Record, Token, fence};
use crate::sync::{Mutex, hold};
use crate::tombstones::Reach;

pub(crate) struct Redis {
    redis: burgeon_redis::Redis,
    read: Script,
    write: Script,
    bury: Script,
    claim: Script,
    // Not a tokio mutex: nothing awaits under it.
    moment: Mutex<Option<Moment>>,
}

/// What the server's clock said.
#[derive(Clone, Copy)]
struct Moment {
    /// Another server has another clock.
    era: u64,
    micros: u64,
    /// When it was asked: what it said was true a little later, so an entry is never taken for younger than it is.
    asked: Instant,
}

/// Version, time and expiry, before the tags.
const HEAD: usize = 48;
/// Three versions, before the primary's number.
const SHOWN: usize = 48;
/// How wide a number is written.
const WIDTH: usize = 16;
/// So long this process counts on from what the server's clock has said.
const COUNTED_ON: Duration = Duration::from_secs(1);

impl Redis {
    pub(crate) fn new(redis: &burgeon_redis::Redis) -> Self {
        let script = |body: &str| Script::new(format!("{}{body}", include_str!("redis/prelude.lua")));
        Self {
            redis: redis.clone(),
            read: script(include_str!("redis/read.lua")),
            write: script(include_str!("redis/write.lua")),
            bury: script(include_str!("redis/bury.lua")),
            claim: Script::new(include_str!("redis/claim.lua")),
            moment: Mutex::new(None),
        }
    }

    pub(crate) async fn read(&self, ctx: &Ctx, place: &Place, keys: &[String]) -> Result<Answer> {
        let era = self.era()?;
        let mut is_shown = true;
        if !place.is_tagged.load(Ordering::Relaxed) {
            match self.read_plain(ctx, place, keys, era).await? {
                Plain::Told(answer) => return self.of(era, answer),
                Plain::Unshown => is_shown = false,
                Plain::Tagged => place.is_tagged.store(true, Ordering::Relaxed),
            }
        }
        let call = self.read.call().key(own(place)).key(shown(place));
        let call = keys.iter().fold(call, |call, key| call.key(entry(place, key)));
        let call = call.arg(era.to_string()).arg(kind(place)).arg(if is_shown { "0" } else { "1" });
        let mut told = self.redis.run(ctx, &call).await?.array()?.into_iter();
        let version = told.next().map_or(Ok(0), |version| version.int())?;
        let token = Token { version: version.unsigned_abs(), era };
        let entries = told.map(read_entry).collect::<Result<_>>()?;
        self.of(era, Answer { token, entries })
    }

    /// The same of a cache without tags, in one plain command. The cache's versions are read first, and nothing comes in between.
    async fn read_plain(&self, ctx: &Ctx, place: &Place, keys: &[String], era: u64) -> Result<Plain> {
        // The hash is no string, so nothing of it is told; but who evicts what is used least sees that it is in use.
        let asked = Command::read("MGET").arg(own(place)).arg(shown(place));
        let (cache, kind) = (place.cache.as_bytes(), kind(place));
        let names = keys.iter().map(|key| [b"b2:", cache, b":", key.as_bytes(), b"@", kind.as_bytes()]);
        let asked = asked.args(names);
        let (told, moment) = match self.moment_of(era) {
            Some(moment) => (self.redis.call(ctx, &asked).await?, moment),
            None => self.ask_the_time_along(ctx, asked, era).await?,
        };
        let mut told = told.array()?.into_iter().skip(1).map(Value::bytes);
        let Some(shown) = told.next().transpose()?.flatten().filter(|shown| shown.len() > SHOWN) else {
            return Ok(Plain::Unshown);
        };
        let (versions, id) = shown.split_at(SHOWN);
        if number(id) != era {
            return Ok(Plain::Unshown);
        }
        let [version, removed, expired] = [0, 1, 2].map(|at| number(&versions[at * WIDTH..(at + 1) * WIDTH]));
        let now = moment.micros.saturating_add(micros(moment.asked.elapsed()));
        let mut entries = Vec::with_capacity(keys.len());
        for bytes in told {
            let Some(mut bytes) = bytes?.filter(|bytes| bytes.len() >= HEAD + 2) else {
                entries.push(None);
                continue;
            };
            if !bytes[HEAD..].starts_with(b"00") {
                return Ok(Plain::Tagged);
            }
            let [stamp, written, own_expiry] =
                [0, 1, 2].map(|at| number(&bytes[at * WIDTH..(at + 1) * WIDTH]));
            bytes.advance(HEAD + 2);
            entries.push((removed <= stamp).then(|| Entry {
                age: Duration::from_micros(now.saturating_sub(written)),
                is_expired: expired.max(own_expiry) > stamp,
                bytes,
            }));
        }
        Ok(Plain::Told(Answer { token: Token { version, era }, entries }))
    }

    /// What the server's clock said lately.
    fn moment_of(&self, era: u64) -> Option<Moment> {
        hold(&self.moment).filter(|moment| moment.era == era && moment.asked.elapsed() < COUNTED_ON)
    }

    async fn ask_the_time_along(&self, ctx: &Ctx, asked: Command, era: u64) -> Result<(Value, Moment)> {
        let now = Instant::now();
        let both = Pipeline::new().call(asked).call(Command::read("TIME"));
        let mut told = self.redis.pipeline(ctx, &both).await?.into_iter();
        let mut next = || told.next().unwrap_or(Ok(Value::Nil));
        let (told, time) = (next()?, texts(next()?.array()?)?);
        let mut time = time.iter().flatten().map(|part| number(part));
        let micros = time.next().unwrap_or(0) * 1_000_000 + time.next().unwrap_or(0);
        let moment = Moment { era, micros, asked: now };
        if self.era()? == era {
            *hold(&self.moment) = Some(moment);
        }
        Ok((told, moment))
    }

    /// Asked over one connection and answered over another, it is not known whose answer it is.
    fn of(&self, era: u64, answer: Answer) -> Result<Answer> {
        match self.era()? == era {
            true => Ok(answer),
            false => Err(Error::unavailable("Redis became another server in between.")),
        }
    }

    pub(crate) async fn write(&self, ctx: &Ctx, place: &Place, record: Record) -> Result<bool> {
        // Over another connection it would be another primary's version.
        if self.era()? != record.token.era {
            return Ok(false);
        }
        if !record.tags.is_empty() {
            place.is_tagged.store(true, Ordering::Relaxed);
        }
        let mut payload = format!("{:02x}", record.tags.len()).into_bytes();
        record.tags.iter().for_each(|tag| payload.extend_from_slice(stripe(*tag).as_bytes()));
        payload.extend_from_slice(&record.bytes);
        let call = self
            .write
            .call()
            .key(own(place))
            .key(shown(place))
            .key(entry(place, &record.key))
            .arg(record.token.era.to_string())
            .arg(kind(place))
            .arg(record.token.version.to_string())
            .arg(fence_field(&record.key))
            .arg(position(record.position))
            .arg(millis(record.kept.max(Duration::from_millis(1))))
            .arg(payload);
        Ok(self.redis.run(ctx, &call).await?.int()? == 1)
    }

    pub(crate) async fn bury_keys(
        &self,
        ctx: &Ctx,
        place: &Place,
        keys: &[String],
        burial: Burial,
    ) -> Result<Token> {
        let keys_of = keys.iter().map(|key| entry(place, key)).collect();
        self.bury(ctx, place, burial, "keys", keys_of, keys.iter().map(|key| fence_field(key)).collect())
            .await
    }

    pub(crate) async fn bury_tags(
        &self,
        ctx: &Ctx,
        place: &Place,
        stripes: &[u16],
        burial: Burial,
    ) -> Result<()> {
        let stripes = stripes.iter().map(|tag| stripe(*tag)).collect();
        self.bury(ctx, place, burial, "tags", Vec::new(), stripes).await.map(drop)
    }

    pub(crate) async fn bury_everything(&self, ctx: &Ctx, place: &Place, burial: Burial) -> Result<()> {
        self.bury(ctx, place, burial, "everything", Vec::new(), Vec::new()).await.map(drop)
    }

    async fn bury(
        &self,
        ctx: &Ctx,
        place: &Place,
        Burial { reach, floor }: Burial,
        what: &str,
        keys: Vec<String>,
        graves: Vec<String>,
    ) -> Result<Token> {
        let era = self.era()?;
        let reach = if reach == Reach::Remove { "r" } else { "x" };
        let call = self.bury.call().key(own(place)).key(shown(place));
        let call = keys.iter().fold(call, |call, key| call.key(key));
        let call = call.arg(era.to_string()).arg(reach).arg(position(floor)).arg(what);
        let call = graves.iter().fold(call, |call, grave| call.arg(grave));
        let version = self.redis.run(ctx, &call).await?.int()?;
        // On another server than it was sent to, it is not known whether it has told the one that counts.
        if self.era()? != era {
            return Err(Error::unavailable("Redis became another server in between."));
        }
        Ok(Token { version: version.unsigned_abs(), era })
    }

    pub(crate) async fn claim(
        &self,
        ctx: &Ctx,
        place: &Place,
        key: &str,
        holder: u64,
        life: Duration,
    ) -> Result<bool> {
        let life = life.max(Duration::from_millis(1));
        let call = self.claim.call().key(claim(place, key)).arg(holder.to_string()).arg(millis(life));
        Ok(self.redis.run(ctx, &call).await?.int()? == 1)
    }

    pub(crate) async fn release(&self, ctx: &Ctx, place: &Place, key: &str, holder: u64) -> Result<()> {
        let call = self.claim.call().key(claim(place, key)).arg(holder.to_string()).arg("0");
        self.redis.run(ctx, &call).await.map(drop)
    }

    /// Which primary it is.
    fn era(&self) -> Result<u64> {
        self.redis.primary().ok_or_else(|| {
            Error::unavailable("Redis is away, or does not tell this user who it is (INFO): without that it is not believed.")
        })
    }
}

/// What came of a read in one plain command.
enum Plain {
    Told(Answer),
    /// An entry has tags, about which the script must ask.
    Tagged,
    /// The cache shows nothing, or what another primary has shown.
    Unshown,
}

fn texts(values: Vec<Value>) -> Result<Vec<Option<Bytes>>> {
    values.into_iter().map(|value| value.bytes()).collect()
}

/// Digits; anything else is nothing.
fn number(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn read_entry(value: Value) -> Result<Option<Entry>> {
    let mut parts = match value {
        Value::Nil => return Ok(None),
        value => value.array()?.into_iter(),
    };
    let (Some(bytes), Some(age), Some(is_expired)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::internal("the script for reading answered with too little"));
    };
    let Some(bytes) = bytes.bytes()? else { return Ok(None) };
    let tags = bytes.get(HEAD..HEAD + 2).and_then(|hex| std::str::from_utf8(hex).ok());
    let tags = tags.and_then(|hex| usize::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let from = (HEAD + 2 + 4 * tags).min(bytes.len());
    let age = Duration::from_micros(u64::try_from(age.int()?).unwrap_or(0));
    Ok(Some(Entry { bytes: bytes.slice(from..), age, is_expired: is_expired.int()? == 1 }))
}

fn own(place: &Place) -> String {
    format!("b2:{}!", place.cache)
}

fn shown(place: &Place) -> String {
    format!("b2:{}=", place.cache)
}

/// Of all types; a script makes the name of one's entry from it.
fn entry(place: &Place, key: &str) -> String {
    format!("b2:{}:{key}", place.cache)
}

fn claim(place: &Place, key: &str) -> String {
    format!("b2:{}?{key}", place.cache)
}

/// Which type of values.
fn kind(place: &Place) -> String {
    format!("{:016x}", place.fingerprint)
}

fn fence_field(key: &str) -> String {
    format!("k{}", fence(key))
}

fn stripe(tag: u16) -> String {
    format!("{tag:04x}")
}

/// Of one width, so that texts are in the order of positions.
fn position(Position { timeline, lsn }: Position) -> String {
    format!("{timeline:08x}{lsn:016x}")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().min(u128::from(u32::MAX) * 1_000).to_string()
}
