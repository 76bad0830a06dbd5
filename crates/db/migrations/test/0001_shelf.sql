-- A shelf; with a semicolon.
create table shelf (id integer primary key, name text not null);

insert into shelf (id, name) values (1, 'one; two');
