create table catalog_product (
    id integer primary key,
    name text not null unique,
    maker text not null,
    category text not null,
    description text not null,
    material text not null,
    colour text not null,
    size text,
    origin text not null,
    care text not null,
    shape text not null,
    price integer not null check (price >= 0),
    added_at integer not null,
    -- What people search by, in small letters without accents: both engines index this text and so find the same.
    words text not null,
    -- Told by other modules, so that a shelf is one index away.
    sold integer not null default 0,
    in_stock integer not null default 0,
    stars integer not null default 0,
    reviews integer not null default 0,
    -- Mean stars in hundredths.
    rating integer not null default 0
) strict;

create index catalog_product_sold on catalog_product (sold desc, id);
create index catalog_product_added on catalog_product (added_at desc, id);
create index catalog_product_category on catalog_product (category, sold desc, id);

create virtual table catalog_search using fts5 (
    words, content = 'catalog_product', content_rowid = 'id', tokenize = 'unicode61', prefix = '2 3'
);

create trigger catalog_product_inserted after insert on catalog_product begin
    insert into catalog_search (rowid, words) values (new.id, new.words);
end;
create trigger catalog_product_deleted after delete on catalog_product begin
    insert into catalog_search (catalog_search, rowid, words) values ('delete', old.id, old.words);
end;
create trigger catalog_product_renamed after update of words on catalog_product begin
    insert into catalog_search (catalog_search, rowid, words) values ('delete', old.id, old.words);
    insert into catalog_search (rowid, words) values (new.id, new.words);
end;
