//! The second tier in the application's own database.
//!
//! What it saves is the loading, not the asking: a read is a query on the primary. It pays where a value is dear to make, where
//! a restart must not begin cold, and where there is nothing but a database.
//!
//! On Postgres the tables are unlogged: writing to them costs no log, and after a crash, or on a promoted replica, they are
//! empty, all of them together. On SQLite they are tables like all others.
//!
//! # How a write cannot overtake an invalidation
//! A write holds a shared lock on its key's fence while it looks whether its stamp is still good and writes its row; an
//! invalidation first raises the fence, for which it waits for such writes, and then deletes in a statement of its own, which sees
//! what they wrote. Either the write asks after the raise and is refused, or its row is there when the deletion looks. (On
//! SQLite there is one writer.)

use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use burgeon_db::{Db, Engine, Row, sql};

use super::store::{Answer, Burial, Entry, FENCES, Place, Record, Token, fence};
use crate::tombstones::Reach;

pub(crate) struct Sql {
    db: Db,
}

/// Where a version is written down.
enum Grave {
    /// The stripes of keys.
    Keys(Vec<i32>),
    /// The stripes of tags.
    Tags(Vec<u16>),
    Everything,
}

/// One key's row, or the cache's alone where none of the keys has one.
#[derive(Row)]
struct Found {
    version: i64,
    key: Option<String>,
    value: Option<Vec<u8>>,
    stamp: Option<i64>,
    age: Option<i64>,
    removed: Option<i64>,
    expired: Option<i64>,
}

impl Sql {
    pub(crate) fn new(db: &Db) -> Self {
        Self { db: db.clone() }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) async fn read(&self, ctx: &Ctx, place: &Place, keys: &[String]) -> Result<Answer> {
        let mut rows = self.rows(ctx, place, keys).await?;
        if rows.is_empty() {
            // The first time, or after the tables were lost.
            self.found(ctx, place).await?;
            rows = self.rows(ctx, place, keys).await?;
        }
        let token = token(rows.first().map_or(0, |row| row.version));
        let mut entries: Vec<Option<Entry>> = keys.iter().map(|_| None).collect();
        for row in rows {
            let (Some(key), Some(bytes), Some(made)) = (row.key, row.value, row.stamp) else { continue };
            if row.removed.is_some_and(|removed| removed > made) {
                continue;
            }
            let entry = Entry {
                bytes: bytes.into(),
                age: Duration::from_micros(unsigned(row.age.unwrap_or(0))),
                is_expired: row.expired.is_some_and(|expired| expired > made),
            };
            for (at, _) in keys.iter().enumerate().filter(|(_, asked)| **asked == key) {
                entries[at] = Some(entry.clone());
            }
        }
        Ok(Answer { token, entries })
    }

    async fn rows(&self, ctx: &Ctx, place: &Place, keys: &[String]) -> Result<Vec<Found>> {
        sql!(
            "cache_far_read",
            sqlite: "select c.version as version, e.key as key, e.value as value, e.stamp as stamp,
                            cast(unixepoch('subsec') * 1000000 as integer) - e.written as age,
                            max(c.removed, coalesce((select max(t.removed) from burgeon_cache_tag t where t.cache = c.cache
                                and t.stripe in (select value from json_each('[' || e.tags || ']'))), 0)) as removed,
                            max(c.expired, e.expired, coalesce((select max(t.expired) from burgeon_cache_tag t where t.cache = c.cache
                                and t.stripe in (select value from json_each('[' || e.tags || ']'))), 0)) as expired
                     from burgeon_cache_far c
                     left join burgeon_cache_entry e on e.cache = c.cache and e.fingerprint = $2 and e.key = any($3)
                     where c.cache = $1",
            postgres: "select c.version, e.key, e.value, e.stamp,
                              (extract(epoch from clock_timestamp()) * 1000000)::bigint - e.written as age,
                              greatest(c.removed, t.removed) as removed, greatest(c.expired, e.expired, t.expired) as expired
                       from burgeon_cache_far c
                       left join burgeon_cache_entry e on e.cache = c.cache and e.fingerprint = $2 and e.key = any($3)
                       left join lateral (
                           select max(t.removed) as removed, max(t.expired) as expired from burgeon_cache_tag t
                           where e.tags <> '' and t.cache = c.cache and t.stripe = any(string_to_array(e.tags, ',')::integer[])
                       ) t on true
                       where c.cache = $1",
            &*place.cache,
            place.fingerprint as i64,
            keys
        )
        .all(&self.db.read(ctx).primary())
        .await
    }

    /// Makes the cache's rows. Whatever was there or under way before them is dead.
    async fn found(&self, ctx: &Ctx, place: &Place) -> Result<()> {
        let write = self.db.write(ctx);
        // The fences first: a cache that is there has all of them.
        sql!(
            "cache_far_fences",
            sqlite: "with recursive stripe (number) as (select 0 union all select number + 1 from stripe where number + 1 < $2)
                     insert into burgeon_cache_fence (cache, stripe, version, timeline, lsn)
                     select $1, number, 0, 0, 0 from stripe where true
                     on conflict do nothing",
            postgres: "insert into burgeon_cache_fence (cache, stripe, version, timeline, lsn)
                       select $1, number, 0, 0, 0 from generate_series(0, $2 - 1) number on conflict do nothing",
            &*place.cache,
            FENCES as i32
        )
        .execute(&write)
        .await?;
        sql!(
            "cache_far_found",
            sqlite: "insert into burgeon_cache_far (cache, version, removed, expired, timeline, lsn)
                     select $1, now, now, 0, 0, 0 from (select cast(unixepoch('subsec') * 1000000 as integer) as now) where true
                     on conflict do nothing",
            postgres: "insert into burgeon_cache_far (cache, version, removed, expired, timeline, lsn)
                       select $1, now, now, 0, 0, 0 from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now) clock
                       on conflict do nothing",
            &*place.cache
        )
        .execute(&write)
        .await
        .map(drop)
    }

    pub(crate) async fn write(&self, ctx: &Ctx, place: &Place, record: Record) -> Result<bool> {
        let tags = record.tags.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let size = record.key.len() + record.bytes.len() + tags.len();
        sql!(
            "cache_far_write",
            sqlite: "insert into burgeon_cache_entry (cache, key, fingerprint, value, tags, stamp, expired, written, gone, size)
                     select $1, $3, $4, $5, $6, $7, 0, cast(unixepoch('subsec') * 1000000 as integer),
                            cast(unixepoch('subsec') * 1000000 as integer) + $8, $9
                     from burgeon_cache_fence f join burgeon_cache_far c on c.cache = f.cache
                     where f.cache = $1 and f.stripe = $2 and max(f.version, c.removed, c.expired) <= $7
                       and (f.timeline, f.lsn) <= ($10, $11) and (c.timeline, c.lsn) <= ($10, $11)
                       and not exists (select 1 from burgeon_cache_tag t where t.cache = $1
                                       and t.stripe in (select value from json_each('[' || $6 || ']'))
                                       and (max(t.removed, t.expired) > $7 or (t.timeline, t.lsn) > ($10, $11)))
                     on conflict (cache, key, fingerprint) do update
                     set value = excluded.value, tags = excluded.tags, stamp = excluded.stamp, expired = 0,
                         written = excluded.written, gone = excluded.gone, size = excluded.size
                     where burgeon_cache_entry.stamp <= excluded.stamp",
            postgres: "with fence as materialized (
                           select version, timeline, lsn from burgeon_cache_fence where cache = $1 and stripe = $2 for share
                       ), clock as materialized (
                           select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now
                       )
                       insert into burgeon_cache_entry as e
                              (cache, key, fingerprint, value, tags, stamp, expired, written, gone, size)
                       select $1, $3, $4, $5, $6, $7, 0, clock.now, clock.now + $8, $9
                       from fence, clock, burgeon_cache_far c
                       where c.cache = $1 and greatest(fence.version, c.removed, c.expired) <= $7
                         and (fence.timeline, fence.lsn) <= ($10, $11) and (c.timeline, c.lsn) <= ($10, $11)
                         and not exists (select 1 from burgeon_cache_tag t where t.cache = $1
                                         and t.stripe = any(string_to_array($6, ',')::integer[])
                                         and (greatest(t.removed, t.expired) > $7 or (t.timeline, t.lsn) > ($10, $11)))
                       on conflict (cache, key, fingerprint) do update
                       set value = excluded.value, tags = excluded.tags, stamp = excluded.stamp, expired = 0,
                           written = excluded.written, gone = excluded.gone, size = excluded.size
                       where e.stamp <= excluded.stamp",
            &*place.cache,
            i32::from(fence(&record.key)),
            record.key,
            place.fingerprint as i64,
            record.bytes,
            tags,
            record.token.version as i64,
            micros(record.kept),
            i32::try_from(size).unwrap_or(i32::MAX),
            i64::from(record.position.timeline),
            record.position.lsn as i64
        )
        .execute(&self.db.write(ctx))
        .await
        .map(|written| written > 0)
    }

    pub(crate) async fn bury_keys(
        &self,
        ctx: &Ctx,
        place: &Place,
        keys: &[String],
        burial: Burial,
    ) -> Result<Token> {
        let stripes: Vec<i32> = keys.iter().map(|key| fence(key).into()).collect();
        let version = self.bury(ctx, place, Grave::Keys(stripes), burial).await?;
        let write = self.db.write(ctx);
        match burial.reach {
            Reach::Remove => {
                sql!(
                    "cache_far_remove",
                    "delete from burgeon_cache_entry where cache = $1 and key = any($2) and stamp < $3",
                    &*place.cache,
                    keys,
                    version
                )
                .execute(&write)
                .await?
            }
            Reach::Expire => {
                sql!(
                    "cache_far_expire",
                    "update burgeon_cache_entry set expired = $3
                     where cache = $1 and key = any($2) and stamp < $3 and expired < $3",
                    &*place.cache,
                    keys,
                    version
                )
                .execute(&write)
                .await?
            }
        };
        Ok(token(version))
    }

    pub(crate) async fn bury_tags(
        &self,
        ctx: &Ctx,
        place: &Place,
        stripes: &[u16],
        burial: Burial,
    ) -> Result<()> {
        self.bury(ctx, place, Grave::Tags(stripes.to_vec()), burial).await.map(drop)
    }

    pub(crate) async fn bury_everything(&self, ctx: &Ctx, place: &Place, burial: Burial) -> Result<()> {
        self.bury(ctx, place, Grave::Everything, burial).await.map(drop)
    }

    /// Raises the cache's version, writes it on the grave, and answers it. On Postgres both happen in one statement, so that nobody
    /// sees the version and not yet what it stands for: he might load from a replica that has not come so far. On SQLite
    /// there are no replicas, and no statement that could.
    async fn bury(&self, ctx: &Ctx, place: &Place, grave: Grave, burial: Burial) -> Result<i64> {
        for _ in 0..2 {
            let version = match self.db.engine() {
                Engine::Postgres => Some(0),
                Engine::Sqlite => self.next(ctx, place).await?,
            };
            let written = match (version, &grave) {
                (None, _) => Vec::new(),
                (Some(version), Grave::Keys(stripes)) => {
                    self.fence(ctx, place, stripes, version, burial).await?
                }
                (Some(version), Grave::Tags(stripes)) => {
                    self.tags(ctx, place, stripes, version, burial).await?
                }
                (Some(version), Grave::Everything) => self.everything(ctx, place, version, burial).await?,
            };
            match written.into_iter().max() {
                Some(version) => return Ok(version),
                None => self.found(ctx, place).await?,
            }
        }
        Err(Error::unavailable("The tables of the caches were emptied again and again."))
    }

    async fn next(&self, ctx: &Ctx, place: &Place) -> Result<Option<i64>> {
        sql!(
            "cache_far_version",
            sqlite: "update burgeon_cache_far
                     set version = max(version + 1, cast(unixepoch('subsec') * 1000000 as integer)) where cache = $1
                     returning version",
            postgres: "update burgeon_cache_far
                       set version = greatest(version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                       where cache = $1 returning version",
            &*place.cache
        )
        .optional(&self.db.write(ctx))
        .await
    }

    async fn fence(
        &self,
        ctx: &Ctx,
        place: &Place,
        stripes: &[i32],
        version: i64,
        Burial { floor, .. }: Burial,
    ) -> Result<Vec<i64>> {
        sql!(
            "cache_far_fence",
            sqlite: "update burgeon_cache_fence
                     set version = $3, timeline = case when timeline < $4 then $4 else timeline end,
                         lsn = case when timeline > $4 or (timeline = $4 and lsn > $5) then lsn else $5 end
                     where cache = $1 and stripe = any($2) returning version",
            // The cache's row is locked before any fence, so that two of these never wait for each other.
            postgres: "with next as (
                           update burgeon_cache_far
                           set version = greatest(version + 1, $3, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                           where cache = $1 returning version
                       )
                       update burgeon_cache_fence f
                       set version = next.version, timeline = case when timeline < $4 then $4 else timeline end,
                           lsn = case when timeline > $4 or (timeline = $4 and lsn > $5) then lsn else $5 end
                       from next where f.cache = $1 and f.stripe = any($2) returning f.version",
            &*place.cache,
            stripes,
            version,
            i64::from(floor.timeline),
            floor.lsn as i64
        )
        .all(&self.db.write(ctx))
        .await
    }

    async fn tags(
        &self,
        ctx: &Ctx,
        place: &Place,
        stripes: &[u16],
        version: i64,
        Burial { reach, floor }: Burial,
    ) -> Result<Vec<i64>> {
        let stripes = stripes.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        sql!(
            "cache_far_tag",
            sqlite: "insert into burgeon_cache_tag (cache, stripe, removed, expired, timeline, lsn)
                     select distinct $1, value, case when $4 then $3 else 0 end, case when $4 then 0 else $3 end, $5, $6
                     from json_each('[' || $2 || ']') where true
                     on conflict (cache, stripe) do update
                     set removed = max(burgeon_cache_tag.removed, excluded.removed),
                         expired = max(burgeon_cache_tag.expired, excluded.expired),
                         timeline = max(burgeon_cache_tag.timeline, excluded.timeline),
                         lsn = case when burgeon_cache_tag.timeline > $5 or (burgeon_cache_tag.timeline = $5 and burgeon_cache_tag.lsn > $6)
                               then burgeon_cache_tag.lsn else $6 end
                     returning max(removed, expired)",
            postgres: "with next as (
                           update burgeon_cache_far
                           set version = greatest(version + 1, $3, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                           where cache = $1 returning version
                       )
                       insert into burgeon_cache_tag as t (cache, stripe, removed, expired, timeline, lsn)
                       select distinct $1, stripe, case when $4 then version else 0 end, case when $4 then 0 else version end, $5::bigint, $6::bigint
                       from next, unnest(string_to_array($2, ',')::integer[]) stripe
                       on conflict (cache, stripe) do update
                       set removed = greatest(t.removed, excluded.removed), expired = greatest(t.expired, excluded.expired),
                           timeline = greatest(t.timeline, excluded.timeline),
                           lsn = case when t.timeline > $5 or (t.timeline = $5 and t.lsn > $6) then t.lsn else $6 end
                       returning greatest(removed, expired)",
            &*place.cache,
            stripes,
            version,
            reach == Reach::Remove,
            i64::from(floor.timeline),
            floor.lsn as i64
        )
        .all(&self.db.write(ctx))
        .await
    }

    async fn everything(
        &self,
        ctx: &Ctx,
        place: &Place,
        version: i64,
        Burial { reach, floor }: Burial,
    ) -> Result<Vec<i64>> {
        sql!(
            "cache_far_everything",
            sqlite: "update burgeon_cache_far
                     set removed = case when $3 then $2 else removed end, expired = case when $3 then expired else $2 end,
                         timeline = case when timeline < $4 then $4 else timeline end,
                         lsn = case when timeline > $4 or (timeline = $4 and lsn > $5) then lsn else $5 end
                     where cache = $1 returning version",
            postgres: "update burgeon_cache_far
                       set version = greatest(version + 1, $2, (extract(epoch from statement_timestamp()) * 1000000)::bigint),
                           removed = case when $3 then
                               greatest(version + 1, $2, (extract(epoch from statement_timestamp()) * 1000000)::bigint)
                               else removed end,
                           expired = case when $3 then expired else
                               greatest(version + 1, $2, (extract(epoch from statement_timestamp()) * 1000000)::bigint) end,
                           timeline = case when timeline < $4 then $4 else timeline end,
                           lsn = case when timeline > $4 or (timeline = $4 and lsn > $5) then lsn else $5 end
                       where cache = $1 returning version",
            &*place.cache,
            version,
            reach == Reach::Remove,
            i64::from(floor.timeline),
            floor.lsn as i64
        )
        .all(&self.db.write(ctx))
        .await
    }

    pub(crate) async fn claim(
        &self,
        ctx: &Ctx,
        place: &Place,
        key: &str,
        holder: u64,
        life: Duration,
    ) -> Result<bool> {
        sql!(
            "cache_far_claim",
            sqlite: "insert into burgeon_cache_claim (cache, key, holder, expires)
                     values ($1, $2, $3, cast(unixepoch('subsec') * 1000000 as integer) + $4)
                     on conflict (cache, key) do update set holder = excluded.holder, expires = excluded.expires
                     where burgeon_cache_claim.expires <= cast(unixepoch('subsec') * 1000000 as integer)
                        or burgeon_cache_claim.holder = excluded.holder",
            postgres: "insert into burgeon_cache_claim as c (cache, key, holder, expires)
                       values ($1, $2, $3, (extract(epoch from clock_timestamp()) * 1000000)::bigint + $4)
                       on conflict (cache, key) do update set holder = excluded.holder, expires = excluded.expires
                       where c.expires <= (extract(epoch from clock_timestamp()) * 1000000)::bigint or c.holder = excluded.holder",
            &*place.cache,
            key,
            holder as i64,
            micros(life)
        )
        .execute(&self.db.write(ctx))
        .await
        .map(|taken| taken > 0)
    }

    pub(crate) async fn release(&self, ctx: &Ctx, place: &Place, key: &str, holder: u64) -> Result<()> {
        sql!(
            "cache_far_release",
            "delete from burgeon_cache_claim where cache = $1 and key = $2 and holder = $3",
            &*place.cache,
            key,
            holder as i64
        )
        .execute(&self.db.write(ctx))
        .await
        .map(drop)
    }
}

/// There is one database at a time, and another primary has none of these rows.
fn token(version: i64) -> Token {
    Token { version: unsigned(version), era: 0 }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
