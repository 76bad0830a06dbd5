create table burgeon_first_start (
    name text primary key,
    holder text not null,
    claimed_until integer not null,
    done_at integer
) strict;
