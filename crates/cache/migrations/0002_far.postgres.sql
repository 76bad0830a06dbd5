-- The second tier of the caches. Unlogged, all of it: a cache is not worth a log record, and after a crash, or on a promoted
-- replica, all of it is empty together, so that no value outlives the invalidation that was to kill it.

-- A row per cache.
create unlogged table burgeon_cache_far (
    cache text primary key,
    -- Of the latest invalidation. It grows, and where this table was lost it goes on from the clock: it never begins anew.
    version bigint not null,
    -- At which version everything was removed, and at which it expired.
    removed bigint not null,
    expired bigint not null,
    -- How far a database must have come, at least, that what is written from now on was loaded from.
    timeline bigint not null,
    lsn bigint not null
);

-- When a key was invalidated last. Keys share rows, which are made with the cache's and never deleted.
create unlogged table burgeon_cache_fence (
    cache text not null,
    stripe integer not null,
    version bigint not null,
    timeline bigint not null,
    lsn bigint not null,
    primary key (cache, stripe)
) with (fillfactor = 80);

-- When a tag was invalidated last. Tags share rows, 65,536 of a cache, which are never deleted.
create unlogged table burgeon_cache_tag (
    cache text not null,
    stripe integer not null,
    removed bigint not null,
    expired bigint not null,
    timeline bigint not null,
    lsn bigint not null,
    primary key (cache, stripe)
);

create unlogged table burgeon_cache_entry (
    cache text not null,
    key text not null,
    -- Of the value's type: versions of a program keep theirs side by side.
    fingerprint bigint not null,
    value bytea not null,
    -- Its tags' rows, separated by commas.
    tags text not null,
    -- The version before it was loaded.
    stamp bigint not null,
    -- At which version it was expired by hand.
    expired bigint not null,
    -- Microseconds since 1970 on the database's clock.
    written bigint not null,
    gone bigint not null,
    -- Bytes.
    size integer not null,
    primary key (cache, key, fingerprint)
);
create index burgeon_cache_entry_gone on burgeon_cache_entry (gone);
create index burgeon_cache_entry_written on burgeon_cache_entry (written);

-- Which node loads a key for all of them.
create unlogged table burgeon_cache_claim (
    cache text not null,
    key text not null,
    holder bigint not null,
    -- Microseconds since 1970 on the database's clock.
    expires bigint not null,
    primary key (cache, key)
);
