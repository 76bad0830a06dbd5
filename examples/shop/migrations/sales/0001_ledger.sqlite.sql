create table sales_customer (
    number integer primary key
) strict;

create table sales_product (
    code text primary key,
    -- As it was first called; lines keep what they said.
    description text
) strict, without rowid;

create table sales_invoice (
    number text primary key,
    customer integer references sales_customer (number),
    country text not null,
    cancellation integer not null
) strict, without rowid;

create table sales_line (
    invoice text not null references sales_invoice (number),
    -- The line's number in the file: repeated lines count, and the same file twice changes nothing.
    position integer not null,
    product text not null references sales_product (code),
    description text,
    quantity integer not null,
    price integer not null,
    sold_at integer not null,
    -- The accounting month in the shop's own time zone, such as 2010-12.
    period text not null,
    primary key (invoice, position)
) strict, without rowid;
