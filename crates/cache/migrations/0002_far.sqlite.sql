-- The second tier of the caches.

-- A row per cache.
create table burgeon_cache_far (
    cache text primary key,
    -- Of the latest invalidation. It grows, and where this table was lost it goes on from the clock: it never begins anew.
    version integer not null,
    -- At which version everything was removed, and at which it expired.
    removed integer not null,
    expired integer not null,
    -- How far a database must have come, at least, that what is written from now on was loaded from.
    timeline integer not null,
    lsn integer not null
) strict;

-- When a key was invalidated last. Keys share rows, which are made with the cache's and never deleted.
create table burgeon_cache_fence (
    cache text not null,
    stripe integer not null,
    version integer not null,
    timeline integer not null,
    lsn integer not null,
    primary key (cache, stripe)
) strict, without rowid;

-- When a tag was invalidated last. Tags share rows, 65,536 of a cache, which are never deleted.
create table burgeon_cache_tag (
    cache text not null,
    stripe integer not null,
    removed integer not null,
    expired integer not null,
    timeline integer not null,
    lsn integer not null,
    primary key (cache, stripe)
) strict, without rowid;

create table burgeon_cache_entry (
    cache text not null,
    key text not null,
    -- Of the value's type: versions of a program keep theirs side by side.
    fingerprint integer not null,
    value blob not null,
    -- Its tags' rows, separated by commas.
    tags text not null,
    -- The version before it was loaded.
    stamp integer not null,
    -- At which version it was expired by hand.
    expired integer not null,
    -- Microseconds since 1970 on the database's clock.
    written integer not null,
    gone integer not null,
    -- Bytes.
    size integer not null,
    primary key (cache, key, fingerprint)
) strict;
create index burgeon_cache_entry_gone on burgeon_cache_entry (gone);
create index burgeon_cache_entry_written on burgeon_cache_entry (written);

-- Which node loads a key for all of them.
create table burgeon_cache_claim (
    cache text not null,
    key text not null,
    holder integer not null,
    -- Microseconds since 1970 on the database's clock.
    expires integer not null,
    primary key (cache, key)
) strict;
