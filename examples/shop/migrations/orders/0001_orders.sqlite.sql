create table orders_order (
    id integer primary key,
    -- The checkout form's own key: sending it twice places one order. It is also the order's address, so it is random.
    token blob not null unique,
    customer integer references accounts_customer (id),
    email text not null,
    name text not null,
    street text not null,
    town text not null,
    postcode text not null,
    goods integer not null check (goods >= 0),
    delivery integer not null check (delivery >= 0),
    placed_at integer not null
) strict;

create index orders_order_customer on orders_order (customer, id desc);

create table orders_line (
    order_id integer not null references orders_order (id),
    position integer not null,
    product integer not null references catalog_product (id),
    -- As they were when it was bought.
    name text not null,
    price integer not null check (price >= 0),
    quantity integer not null check (quantity > 0),
    primary key (order_id, position)
) strict, without rowid;
