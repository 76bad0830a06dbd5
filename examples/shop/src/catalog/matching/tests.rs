//! On both engines, with as many products as a shop of this sort ever has.

use burgeon::db::{Plan, sql};
use burgeon_test::TestApp;
use jiff::Timestamp;

use super::super::category::Category;
use super::super::{repository, seed};
use super::*;

const PRODUCTS: usize = 10_000;

/// A shop with a large catalogue, and with statistics where the engine wants them.
async fn large(engine: Engine) -> TestApp {
    let app = TestApp::of(crate::app).engine(engine).setting("shop.catalog", "20").start().await;
    let products: Vec<_> = seed::products(PRODUCTS, Timestamp::now()).split_off(20);
    app.db().tx(&app.ctx(), async |tx| repository::insert(tx, products).await).await.unwrap();
    // Ratings as they spread in a real shop; reviews would bring them one by one.
    app.db()
        .tx(&app.ctx(), async |tx| {
            sql!("rate", "update catalog_product set reviews = id % 40, rating = 200 + (id * 7919) % 300, in_stock = $1", true)
                .execute(tx)
                .await
        })
        .await
        .unwrap();
    // What autovacuum does before long; it also moves new words from GIN's pending list into its tree.
    sql!("analyze", sqlite: "analyze", postgres: "vacuum analyze catalog_product")
        .execute(&app.db().write(&app.ctx()))
        .await
        .unwrap();
    app
}

async fn plan_of(app: &TestApp, search: &Search) -> Plan {
    let (order, hits) = (order(search.order()), hits(app.engine(), search));
    let query = order.query("catalog_search", hits, app.engine(), search.after.as_deref(), 24).unwrap();
    query.plan(&app.db().read(&app.ctx())).await.unwrap()
}

async fn found(app: &TestApp, search: &Search) -> Page<Hit> {
    page(&app.db().read(&app.ctx()), app.engine(), search).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_search_reads_the_whole_catalogue_where_an_index_serves() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let app = large(engine).await;
        let words = |q: &str| Search { q: Some(q.into()), ..Search::default() };
        let bath = || Search { category: Some(Category::Bath), ..Search::default() };
        for sort in [Sort::Popular, Sort::Cheap, Sort::Dear, Sort::Rated, Sort::New] {
            let first = Search { sort: Some(sort), ..Search::default() };
            let after = found(&app, &first).await.next;
            let second = Search { after, ..first.clone() };
            let filtered = Search { in_stock: Some(true), stars: Some(3), ..second.clone() };
            for search in [first, second, filtered] {
                let plan = plan_of(&app, &search).await;
                assert!(!plan.scans("catalog_product"), "{search:?}\n{plan}");
                assert!(!plan.sorts(), "{search:?} has an index of its own\n{plan}");
            }
            // A sort of what is left is fair; reading everything is not.
            for narrow in [bath(), words("kettle"), Search { category: Some(Category::Bath), ..words("oak") }]
            {
                let search = Search { sort: Some(sort), ..narrow };
                let plan = plan_of(&app, &search).await;
                assert!(!plan.scans("catalog_product"), "{search:?}\n{plan}");
            }
        }
        for search in
            [words("kettle"), words("copper kettle"), bath(), Search { stars: Some(4), ..words("kettle") }]
        {
            let plan = plan_of(&app, &search).await;
            assert!(!plan.scans("catalog_product"), "{search:?}\n{plan}");
            let count = dynamic::select("catalog_count", &counted(engine, &search), engine);
            let plan = count.plan(&app.db().read(&app.ctx())).await.unwrap();
            assert!(!plan.scans("catalog_product"), "counting {search:?}\n{plan}");
        }
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_follows_is_right_whatever_came_in_meanwhile() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let app = TestApp::of(crate::app).engine(engine).setting("shop.catalog", "400").start().await;
        for sort in Sort::ALL {
            let mut search =
                Search { q: Some("oak".into()), sort: Some(sort), limit: Some(5), ..Search::default() };
            let ids =
                |page: &Page<Hit>| -> Vec<i64> { page.items.iter().map(|hit| hit.product.id.0).collect() };
            let all = found(&app, &Search { limit: Some(60), ..search.clone() }).await;
            assert!(all.items.len() > 10, "{sort:?} finds {}", all.items.len());
            let mut seen = Vec::new();
            loop {
                let page = found(&app, &search).await;
                seen.extend(ids(&page));
                // It would stand on a page that was read already, whatever the order.
                like_the_first_of(&app, &all, sort, seen.len()).await;
                search.after = page.next;
                if search.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, ids(&all), "{sort:?}");
            sql!("take_back", "delete from catalog_product where id < 0 or id > 999999")
                .execute(&app.db().write(&app.ctx()))
                .await
                .unwrap();
        }
        app.stop().await;
    }
}

/// Puts in a product that is sorted beside the first of these, before it.
async fn like_the_first_of(app: &TestApp, page: &Page<Hit>, sort: Sort, number: usize) {
    let first = &page.items[0].product;
    // Among equals the ascending order has the lowest number first and the others the highest.
    let id = if sort == Sort::Cheap { -(number as i64) } else { 1_000_000 + number as i64 };
    sql!(
        "like_the_first",
        "insert into catalog_product
             (id, name, maker, category, description, material, colour, size, origin, care, shape, price, added_at,
              words, sold, in_stock, stars, reviews, rating)
         select $1, cast($2 as text), maker, category, description, material, colour, size, origin, care, shape, price,
                added_at, words, sold, in_stock, stars, reviews, rating
         from catalog_product where id = $3",
        id,
        format!("{} {sort:?} {number}", first.name),
        first.id
    )
    .execute(&app.db().write(&app.ctx()))
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_so_comes_before_what_only_stands_beside_it() {
    let app = TestApp::of(crate::app).setting("shop.catalog", "1000").start().await;
    let named = async |q: &str| -> Vec<String> {
        let search = Search { q: Some(q.into()), limit: Some(60), ..Search::default() };
        found(&app, &search).await.items.into_iter().map(|hit| hit.product.name.to_lowercase()).collect()
    };
    // The department is called so too, and most of what stands in it is not.
    let tables = named("tables").await;
    let is_one = |name: &String| name.split(' ').any(|word| word == "table");
    let (first, rest) = tables.split_at(tables.iter().take_while(|name| is_one(name)).count());
    assert!(!first.is_empty() && !rest.is_empty() && !rest.iter().any(is_one), "{tables:#?}");
    let bread = named("bread board").await;
    assert!(bread.is_empty() || bread[0].contains("bread"), "{bread:#?}");
    app.stop().await;
}
