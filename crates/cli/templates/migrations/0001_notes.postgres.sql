create table notes_note (
    id bigint generated always as identity primary key,
    text text not null
);
