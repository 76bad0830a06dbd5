-- burgeon: no-transaction
create table if not exists shelf_search (id bigint primary key, words tsvector);
create index concurrently if not exists shelf_search_words on shelf_search using gin (words);
