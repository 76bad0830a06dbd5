-- Signing keys of cookies and form tokens, shared by all nodes. Removing a row makes worthless what it signed.
create table burgeon_key (
    generation bigint primary key,
    secret bytea not null,
    -- Seconds since 1970 on the database's clock.
    signs_from bigint not null
);
