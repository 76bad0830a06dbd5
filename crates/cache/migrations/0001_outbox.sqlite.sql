-- What transactions have invalidated and the other nodes may not know of yet. A row lives for a second: whoever wrote it
-- removes it when it is said, and if it died before that, another node says it.
create table burgeon_cache_outbox (
    id integer primary key autoincrement,
    message blob not null,
    -- Microseconds since 1970 on the database's clock.
    written integer not null
) strict;
