create table accounts_customer (
    id integer primary key,
    -- In small letters: two people do not share an address that differs in case.
    email text not null unique,
    name text not null,
    -- argon2id, with its parameters and salt.
    password_hash text not null,
    created_at integer not null
) strict;
