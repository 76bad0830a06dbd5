-- A file has one timeline; the table is there so that both engines have the same ones.
create table burgeon_timeline (
    timeline integer primary key,
    began integer not null,
    seen_at integer
) strict;
