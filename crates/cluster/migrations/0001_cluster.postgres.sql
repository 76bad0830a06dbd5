-- Who holds what alone, until when, for the how-manieth time. A row stays when its lease ends: terms never begin anew.
create table burgeon_lease (
    name text primary key,
    holder text not null,
    term bigint not null,
    -- Microseconds since 1970 on the database's clock.
    expires bigint not null
);

-- The nodes that have been heard of lately.
create table burgeon_member (
    node text primary key,
    name text not null,
    version text not null,
    roles text not null,
    address text not null,
    -- What carries the node's bus; two nodes hear each other only if it is the same.
    bus text not null,
    -- Microseconds since 1970 on the database's clock.
    joined bigint not null,
    seen bigint not null
);

-- Rate limits that all nodes share. Unlogged: after a crash of the server everybody may burst once more, which is
-- cheaper than a log record per request.
create unlogged table burgeon_limit (
    key text primary key,
    -- When the allowance is whole again: microseconds since 1970 on the database's clock.
    tat bigint not null
);
create index burgeon_limit_whole on burgeon_limit (tat);
