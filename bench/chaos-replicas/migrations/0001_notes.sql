create table notes_note (
    id bigint primary key,
    version bigint not null
);
