-- Who holds what alone, until when, for the how-manieth time. A row stays when its lease ends: terms never begin anew.
create table burgeon_lease (
    name text primary key,
    holder text not null,
    term integer not null,
    -- Microseconds since 1970 on the database's clock.
    expires integer not null
) strict;

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
    joined integer not null,
    seen integer not null
) strict;

-- Rate limits.
create table burgeon_limit (
    key text primary key,
    -- When the allowance is whole again: microseconds since 1970 on the database's clock.
    tat integer not null
) strict;
create index burgeon_limit_whole on burgeon_limit (tat);
