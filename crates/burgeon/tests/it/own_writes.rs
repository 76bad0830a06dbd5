//! A user sees what he has changed, whichever node he asks next, though that node has not heard of it: his cookie knows.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use burgeon::Bus;
use burgeon::cache::http::{KeepFor, Responses};
use burgeon::http::Policy;
use burgeon::prelude::*;
use burgeon_services::{Postgres, Proxy};
use burgeon_test::Client;
use bytes::Bytes;
use http::{HeaderMap, Request};
use tokio::time::timeout;

use crate::support::Place;
use crate::together::SOON;

/// One price, kept in a cache, and a page made of it, kept in another.
#[derive(Clone)]
struct Shop {
    db: Db,
    caches: Caches,
    prices: Cache<i64, i64>,
}

fn app(bus: Arc<OnceLock<Bus>>) -> App {
    App::new("shop").module(move |db: Db, caches: Caches, own: Bus| {
        let _ = bus.set(own);
        // Before what its pages are made of; and yet it is purged after it.
        let pages = Responses::new(&caches, "pages", Default::default())?;
        let prices = caches.named("price").ttl(Duration::from_secs(3_600)).loader(db.clone(), load);
        let kept = Policy::new("cache", pages.describe(), pages.layer());
        let shop = Shop { db, caches, prices };
        Result::Ok(Module::new("shop").first_start("table", make_table).routes(Routes::new(shop).routes([
            post("/price/{units}", change),
            get("/price", price),
            get("/page", page).with(kept),
        ])))
    })
}

async fn make_table(ctx: Ctx, db: Db) -> Result<()> {
    sql!("test_make_price", "create table price (id bigint primary key, units bigint not null)")
        .execute(&db.write(&ctx))
        .await?;
    sql!("test_first_price", "insert into price values (1, 100)").execute(&db.write(&ctx)).await.map(drop)
}

async fn load(db: Db, load: Load, id: i64) -> Result<Option<i64>> {
    load.tag("price");
    sql!("test_price", "select units from price where id = $1", id).optional(&db.read(&load)).await
}

async fn change(ctx: Ctx, State(shop): State<Shop>, Path(units): Path<i64>) -> Result<()> {
    shop.db
        .tx(&ctx, async |tx| {
            sql!("test_reprice", "update price set units = $1 where id = 1", units).execute(tx).await?;
            tx.purge(&shop.caches, "price");
            Ok(())
        })
        .await
}

async fn price(ctx: Ctx, State(shop): State<Shop>) -> Result<String> {
    Ok(shop.prices.get(&ctx, &1).await?.map_or_else(String::new, |units| units.to_string()))
}

async fn page(ctx: Ctx, State(shop): State<Shop>) -> Result<(HeaderMap, Html<String>)> {
    let keep = KeepFor::new(Duration::from_secs(3_600)).tag("price");
    Ok((keep.headers(), Html(price(ctx, State(shop)).await?)))
}

/// What a visitor sees there of the price and of the page, over a socket, with this cookie or without.
async fn seen(node: &burgeon::Node, cookie: Option<&str>) -> [String; 2] {
    let client = Client::of(node.address().unwrap());
    let ask = async |path: &str| {
        let request = Request::get(path).header("host", "localhost");
        let request = cookie.iter().fold(request, |request, cookie| request.header("cookie", *cookie));
        client.request(request.body(Bytes::new()).unwrap()).await.ok().text()
    };
    // The page first: what it is made of must not have been refreshed by the other question.
    let page = ask("/page").await;
    [page, ask("/price").await]
}

/// Changes the price there, and answers the cookie that a browser would keep.
async fn change_at(node: &burgeon::Node, units: i64) -> String {
    let client = Client::of(node.address().unwrap());
    client.post_json(&format!("/price/{units}"), &()).await.ok();
    format!("position={}", client.cookie("position").expect("a write is remembered by its writer"))
}

fn both(units: i64) -> [String; 2] {
    [units.to_string(), units.to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_changed_something_sees_it_on_a_node_that_has_not_heard_of_it() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    let (mut nodes, mut buses, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        // The bus goes its own way, which can be held up while statements are not.
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        let place = Place::new()
            .with("BURGEON__DATABASE__URL", &url)
            .with("BURGEON__DATABASE__POSTGRES__DIRECT_URL", &proxy.url_for(&url))
            // So long that only news, or a cookie, can be the reason why a value goes.
            .with("BURGEON__CLUSTER__BUS__HEARTBEAT", "30s")
            .with("BURGEON__CACHE__AGE_UNHEARD", "1h");
        let bus = Arc::new(OnceLock::new());
        nodes.push(place.start(app(bus.clone())).await);
        buses.push(bus.get().unwrap().clone());
        proxies.push((proxy, place));
    }
    for bus in &buses {
        timeout(SOON, bus.whole()).await.unwrap();
    }
    // A word of each, so that all know of all before their first beat.
    for bus in &buses {
        bus.publish("hello", "").unwrap();
    }
    for bus in &buses {
        timeout(SOON, bus.until(|bus| bus.heard().len() == 2)).await.unwrap();
    }
    let [near, away, other] = &nodes[..] else { unreachable!() };
    // Whatever the first node has said by now, that one has heard.
    let is_told = async |node: usize, units: i64| {
        let last = buses[0].publish("hello", "").unwrap();
        timeout(SOON, buses[node].until(|bus| node == 0 || bus.has_applied(last))).await.unwrap();
        assert_eq!(seen(&nodes[node], None).await, both(units));
    };
    for node in &nodes {
        assert_eq!(seen(node, None).await, both(100));
    }
    // He has changed something before, and everybody has heard of that.
    let earlier = change_at(near, 101).await;
    for node in 0..nodes.len() {
        is_told(node, 101).await;
    }

    // What is said to it is held up; then its connection is cut.
    for (units, before) in [(200, 101), (300, 200)] {
        let proxy = &proxies[1].0;
        match units {
            200 => proxy.hold_replies(),
            _ => proxy.cut(),
        }
        let cookie = change_at(near, units).await;
        is_told(2, units).await;
        // It has not heard of it: strangers, and whoever has written something else, may see the old price there.
        assert_eq!(seen(away, None).await, both(before), "a stranger");
        assert_eq!(seen(away, Some(&earlier)).await, both(before), "one who has written before");
        for node in [away, near, other] {
            assert_eq!(seen(node, Some(&cookie)).await, both(units), "whoever has written it");
        }
        proxy.heal();
        timeout(SOON, buses[1].whole()).await.unwrap();
        is_told(1, units).await;
    }
    for node in nodes {
        node.stop().await.unwrap();
    }
}
