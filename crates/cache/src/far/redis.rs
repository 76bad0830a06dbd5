//! The second tier in Redis: one hash for a cache's versions, and one for each entry.
//!
//! ```text
//!   b1:APPLICATION:CACHE!       v, r, x, f, id, and a field for each stripe of keys and tags that was ever invalidated
//!   b1:APPLICATION:CACHE:KEY    a field per fingerprint: version, time, tags, bytes; it expires with its last value
//!   b1:APPLICATION:CACHE?KEY    who loads it for all
//! ```
//!
//! Everything is one script, so it happens at once and in one round trip; but a read of one key in a cache without tags, which
//! needs no more than plain commands. The cache's own hash never expires: at most 1,024
//! fences and three times 65,536 fields of tags, about 12 MiB if every stripe of tags was used. If Redis evicts it, or loses its
//! memory, the cache begins anew with a version of the clock, and whatever was there or under way is dead.
//!
//! # Another primary
//! A promoted replica may not know the latest invalidations. So the hash holds who was the primary when it was last believed,
//! and a script that comes in over a connection to another one buries everything first. A write shows the primary that its
//! version came from, and is refused by another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_redis::{Command, Pipeline, Script, Value};
use bytes::Bytes;

use super::store::{Answer, Burial, Entry, Place, Record, Token, fence};
use crate::tombstones::Reach;

pub(crate) struct Redis {
    redis: burgeon_redis::Redis,
    read: Script,
    write: Script,
    bury: Script,
    claim: Script,
}

/// Version and time, before the tags.
const HEAD: usize = 32;

impl Redis {
    pub(crate) fn new(redis: &burgeon_redis::Redis) -> Self {
        let script = |body: &str| Script::new(format!("{}{body}", include_str!("redis/prelude.lua")));
        Self {
            redis: redis.clone(),
            read: script(include_str!("redis/read.lua")),
            write: script(include_str!("redis/write.lua")),
            bury: script(include_str!("redis/bury.lua")),
            claim: Script::new(include_str!("redis/claim.lua")),
        }
    }

    pub(crate) async fn read(&self, ctx: &Ctx, place: &Place, keys: &[String]) -> Result<Answer> {
        let era = self.era()?;
        if let [key] = keys
            && !place.is_tagged.load(Ordering::Relaxed)
            && let Some(answer) = self.read_plain(ctx, place, key, era).await?
        {
            return self.of(era, answer);
        }
        let call = self.read.call().key(own(place));
        let call = keys.iter().fold(call, |call, key| call.key(entry(place, key)));
        let call = call.arg(era.to_string()).arg(field(place));
        let mut told = self.redis.run(ctx, &call).await?.array()?.into_iter();
        let version = told.next().map_or(Ok(0), |version| version.int())?;
        let token = Token { version: version.unsigned_abs(), era };
        let entries = told.map(read_entry).collect::<Result<_>>()?;
        self.of(era, Answer { token, entries })
    }

    /// The same for one key of a cache without tags, in plain commands of one round trip, which cost the server much less than the script. The
    /// cache's versions are read first: an invalidation that comes in between takes the entry away, and the version that
    /// a load would be fenced with is from before it. `None`: it takes the script.
    async fn read_plain(&self, ctx: &Ctx, place: &Place, key: &str, era: u64) -> Result<Option<Answer>> {
        let versions = Command::read("HMGET").arg(own(place)).arg("v").arg("id").arg("r").arg("x");
        let entry = Command::read("HMGET").arg(entry(place, key)).arg(field(place)).arg("x");
        let asked = Pipeline::new().call(versions).call(Command::read("TIME")).call(entry);
        let mut told = self.redis.pipeline(ctx, &asked).await?.into_iter();
        let mut next = || told.next().map_or(Ok(Vec::new()), |told| told?.array());
        let (versions, time, entry) = (texts(next()?)?, texts(next()?)?, next()?);
        let mut versions = versions.iter().map(Option::as_deref);
        let (version, id) = (versions.next().flatten(), versions.next().flatten());
        let Some(version) = version.filter(|_| id.is_some_and(|id| id == era.to_string().as_bytes())) else {
            return Ok(None);
        };
        let (removed, expired) = (versions.next().flatten(), versions.next().flatten());
        let token = Token { version: number(version), era };
        let mut parts = texts(entry)?.into_iter();
        let (Some(bytes), own_expiry) = (parts.next().flatten(), parts.next().flatten()) else {
            return Ok(Some(Answer { token, entries: vec![None] }));
        };
        let Some((stamp, written)) = bytes.split_at_checked(HEAD).map(|(head, _)| head.split_at(HEAD / 2))
        else {
            return Ok(Some(Answer { token, entries: vec![None] }));
        };
        if !bytes[HEAD..].starts_with(b"00") {
            place.is_tagged.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        let stamp = number(stamp);
        if removed.is_some_and(|removed| number(removed) > stamp) {
            return Ok(Some(Answer { token, entries: vec![None] }));
        }
        let mut now = time.iter().flatten().map(|part| number(part));
        let now = now.next().unwrap_or(0) * 1_000_000 + now.next().unwrap_or(0);
        let entry = Entry {
            age: Duration::from_micros(now.saturating_sub(number(written))),
            is_expired: expired.is_some_and(|expired| number(expired) > stamp)
                || own_expiry.is_some_and(|expired| number(&expired) > stamp),
            bytes: bytes.slice(HEAD + 2..),
        };
        Ok(Some(Answer { token, entries: vec![Some(entry)] }))
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
            .key(entry(place, &record.key))
            .arg(record.token.era.to_string())
            .arg(field(place))
            .arg(record.token.version.to_string())
            .arg(fence_field(&record.key))
            .arg(position(record.position))
            .arg(millis(record.kept))
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
        let call = keys.iter().fold(self.bury.call().key(own(place)), |call, key| call.key(key));
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
    format!("b1:{}!", place.cache)
}

fn entry(place: &Place, key: &str) -> String {
    format!("b1:{}:{key}", place.cache)
}

fn claim(place: &Place, key: &str) -> String {
    format!("b1:{}?{key}", place.cache)
}

fn field(place: &Place) -> String {
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

fn millis(duration: Duration) -> String {
    duration.as_millis().min(u128::from(u32::MAX) * 1_000).to_string()
}
