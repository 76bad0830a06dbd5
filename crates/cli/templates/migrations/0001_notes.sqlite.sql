create table notes_note (
    id integer primary key,
    text text not null
) strict;
