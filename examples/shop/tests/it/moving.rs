//! The shop goes from its file to Postgres while people look at it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use burgeon::db::{Config, Db, sql};
use burgeon::{Ctx, Meters, Tasks};
use burgeon_services::Postgres;
use burgeon_test::Processes;
use serde_json::{Value, json};
use tokio::time::interval;
use uuid::Uuid;

use crate::binary::{json, shop};
use crate::sales::real_export;

/// Everything that the shop has, in a real year's books and a small catalogue; identical before and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the verb is awaited here, beside those who look")]
async fn the_books_of_a_year_are_moved_while_the_shop_is_read_and_sum_up_to_the_same() {
    let mut serving = Processes::of(env!("CARGO_BIN_EXE_shop")).setting("shop.catalog", "100").start().await;
    let folder = serving.directory().to_owned();
    let file = serving.database_url().to_owned();
    let target =
        Postgres::shared().await.expect("Postgres starts").create_database().await.expect("a database");
    let run = |database: &str, arguments: &[&str]| json(&shop(&folder, database, arguments));
    let report = |database: &str| run(database, &["report", "--monthly", "--json"]);

    fill_the_shelves(&file).await;
    // Beside the process that serves.
    let export = books(&folder);
    let imported = run(&file, &["import", export.to_str().expect("a path"), "--json"]);
    let before = report(&file);
    assert!(before.as_array().is_some_and(|months| !months.is_empty()), "{before}");
    let client = serving.node(0).client();
    let product: Value = client.get("/api/products/7").await.ok().json();

    let over = AtomicBool::new(false);
    let (read, bought, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let visiting = async {
        // Twenty visitors a second, each with a basket.
        let mut pace = interval(Duration::from_millis(50));
        for number in 1.. {
            if over.load(Ordering::Acquire) {
                break;
            }
            pace.tick().await;
            client.get("/products/7").await.ok();
            client.get("/api/departments").await.ok();
            read.fetch_add(2, Ordering::Relaxed);
            // An order is taken before the move holds the file, and refused from then on; never anything else.
            let answer = client.post_json("/api/orders", &order(number)).await;
            match answer.status().as_u16() {
                201 if refused.load(Ordering::Relaxed) == 0 => bought.fetch_add(1, Ordering::Relaxed),
                503 => refused.fetch_add(1, Ordering::Relaxed),
                other => panic!("order {number} was answered with {other}: {}", answer.text()),
            };
        }
    };
    let moving = async {
        let (folder, file, target) = (folder.clone(), file.clone(), target.clone());
        let moved = tokio::task::spawn_blocking(move || {
            json(&shop(&folder, &file, &["db", "move", "--to", &target, "--json"]))
        });
        let moved = moved.await.expect("the move is run");
        over.store(true, Ordering::Release);
        moved
    };
    let ((), moved) = tokio::join!(visiting, moving);
    let rows = |table: &str| {
        let tables = moved["tables"].as_array().expect("tables");
        tables.iter().find(|one| one["table"] == table).expect("the table was moved")["rows"].as_u64()
    };
    assert_eq!(rows("sales_line"), imported["inserted"].as_u64());
    assert_eq!(rows("catalog_product"), Some(100));
    let (read, bought, refused) = (read.into_inner(), bought.into_inner(), refused.into_inner());
    let seconds = &moved["seconds"];
    eprintln!(
        "{read} pages read, {bought} orders taken, {refused} refused; writes stood still for {seconds} s of the move"
    );
    assert!(read > 0 && refused > 0, "nobody looked while it moved");

    assert_eq!(report(&target), before);
    // The old file can still be read, to compare.
    assert_eq!(report(&file), before);
    let said = String::from_utf8_lossy(&shop(&folder, &file, &["serve"]).stderr).into_owned();
    assert!(said.contains("was moved to") && said.contains("database.url"), "{said}");

    // From the new place the same product is sold, and new numbers come behind the old ones.
    serving.node(0).client().get("/products/7").await.ok();
    assert!(serving.node(0).terminate().await.success());
    let mut moved_shop =
        Processes::of(env!("CARGO_BIN_EXE_shop")).setting("database.url", &target).start().await;
    let client = moved_shop.node(0).client();
    let same: Value = client.get("/api/products/7").await.ok().json();
    assert_eq!((&same["name"], &same["price"]), (&product["name"], &product["price"]));
    assert_eq!(client.post_json("/api/orders", &order(0)).await.status().as_u16(), 201);
    let server = Postgres::shared().await.expect("Postgres runs");
    let database = target.rsplit_once('/').expect("a path").1.split('?').next().expect("a name");
    let count = server
        .psql(database, "select count(*), count(distinct id) from orders_order")
        .await
        .expect("psql runs");
    assert_eq!(count.trim(), format!("{0}|{0}", bought + 1), "an order that was taken is not there");
    assert!(moved_shop.node(0).terminate().await.success());
}

/// However long the move takes, nobody is told that something is sold out.
async fn fill_the_shelves(file: &str) {
    let meters = Meters::new();
    let db = Db::open(&Config::at(file), &Tasks::new(&meters), &meters).await.expect("the file opens");
    let filled = sql!("test_fill_shelves", "update inventory_stock set available = 1000000000")
        .execute(&db.write(&Ctx::background()))
        .await;
    assert_eq!(filled.expect("stock is put"), 100);
    db.close().await;
}

/// So many lines of the real year are moved where nothing else is said: a debug build takes its time for all of them.
const LINES: usize = 40_000;

/// The real export, or its beginning; made-up lines where there is none.
#[expect(clippy::disallowed_methods, reason = "a test's own parameter")]
fn books(folder: &Path) -> PathBuf {
    let lines = std::env::var("ONLINE_RETAIL_LINES").map_or(LINES, |lines| lines.parse().expect("a number"));
    let text: String = match real_export() {
        Some(export) => {
            let file = std::fs::File::open(export).expect("the export opens");
            let all = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
            all.take(lines).map(|line| line.expect("a line") + "\n").collect()
        }
        None => {
            eprintln!(
                "no Online Retail export (set ONLINE_RETAIL to its path): made-up lines are moved instead"
            );
            let line = |n| {
                format!(
                    "{},P{},THING,{},2010-12-0{} 08:26:00,1.25,{},EIRE\n",
                    n / 9,
                    n % 70,
                    n % 5 + 1,
                    n % 9 + 1,
                    n % 40
                )
            };
            let head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
                .to_owned();
            std::iter::once(head).chain((0..5_000).map(line)).collect()
        }
    };
    let path = folder.join("books.csv");
    std::fs::write(&path, text).expect("the file is written");
    path
}

fn order(number: u128) -> Value {
    json!({
        "token": Uuid::from_u128(number + (9 << 64)), "lines": [{"product": number % 100 + 1, "quantity": 1}],
        "email": "ada@example.com", "name": "Ada", "street": "1 High Street", "town": "London", "postcode": "N1 1AA",
    })
}
