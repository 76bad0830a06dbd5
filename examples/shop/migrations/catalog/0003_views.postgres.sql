-- Beside the product and not in it: it is counted up all the time, and a product is read all the time.
create table catalog_view (
    product bigint primary key references catalog_product (id),
    views bigint not null
);
