create table recommendations_pair (
    product bigint not null references catalog_product (id),
    other bigint not null references catalog_product (id),
    -- How many orders had both.
    orders bigint not null,
    primary key (product, other)
);

create index recommendations_pair_strongest on recommendations_pair (product, orders desc, other);
