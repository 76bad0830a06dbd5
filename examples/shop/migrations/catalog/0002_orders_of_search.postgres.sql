-- Every order a shopper can choose is one index, read forwards or backwards; the product's number breaks ties.
drop index catalog_product_sold;
drop index catalog_product_added;
drop index catalog_product_category;
create index catalog_product_sold on catalog_product (sold, id);
create index catalog_product_added on catalog_product (added_at, id);
create index catalog_product_price on catalog_product (price, id);
create index catalog_product_rated on catalog_product (rating, reviews, id);
create index catalog_product_category on catalog_product (category, sold, id);
