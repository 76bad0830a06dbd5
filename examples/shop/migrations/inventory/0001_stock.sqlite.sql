create table inventory_stock (
    product integer primary key references catalog_product (id),
    -- What may still be sold. The check is the last line of defence: no statement ever tries to go below.
    available integer not null check (available >= 0)
) strict;
