//! Every statement of the shop, and of what it stands on, against the tables there are.

use burgeon_test::TestApp;

#[burgeon_test::test(shop::app, engines = [sqlite, postgres], settings = ["shop.catalog" = "20"])]
async fn every_statement_fits_its_tables(app: TestApp) {
    app.statements_fit().await;
}
