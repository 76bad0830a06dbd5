create table recommendations_pair (
    product integer not null references catalog_product (id),
    other integer not null references catalog_product (id),
    -- How many orders had both.
    orders integer not null,
    primary key (product, other)
) strict, without rowid;

create index recommendations_pair_strongest on recommendations_pair (product, orders desc, other);
