create table shelf_search (id integer primary key, words text) strict;
