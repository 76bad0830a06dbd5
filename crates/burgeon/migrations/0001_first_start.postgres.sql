create table burgeon_first_start (
    name text primary key,
    holder text not null,
    claimed_until timestamptz not null,
    done_at timestamptz
);
