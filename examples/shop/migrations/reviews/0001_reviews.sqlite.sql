create table reviews_review (
    id integer primary key,
    product integer not null references catalog_product (id),
    -- Nobody in particular: reviews outlive accounts, and the first ones came with the shop.
    customer integer,
    author text not null,
    rating integer not null check (rating between 1 and 5),
    title text not null,
    text text not null,
    written_at integer not null,
    unique (product, customer)
) strict;

create index reviews_review_product on reviews_review (product, written_at desc, id);
