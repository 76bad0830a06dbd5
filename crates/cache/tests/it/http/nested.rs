//! Pages that are made of what lies in other caches.

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use burgeon_cache::http::{Config, Responses, Wall};
use burgeon_cache::{Cache, Caches};
use burgeon_core::Ctx;
use http::{HeaderMap, HeaderName, Request};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, advance};
use tower_service::Service as _;

use super::table::BEGINNING;
use crate::house::{House, Origin, house};
use crate::nested::{doubt, lose};
use crate::nodes;

const SECOND: Duration = Duration::from_secs(1);

/// A page with the number under key 1 on it, kept for a minute.
struct Site {
    house: House,
    origin: Origin,
    numbers: Cache<u32, u64>,
    responses: Responses,
    router: Router,
}

type Page = ([(HeaderName, &'static str); 1], String);

async fn page(numbers: Cache<u32, u64>, ctx: Ctx, headers: [(HeaderName, &'static str); 1]) -> Page {
    let number = numbers.get(&ctx, &1).await.ok().flatten();
    (headers, number.map_or("none".to_owned(), |number| number.to_string()))
}

const KEEP: [(HeaderName, &str); 1] = [(http::header::CACHE_CONTROL, "max-age=60")];

/// Where a minute-old page is shown for an hour while a new one is made.
const WINDOW: [(HeaderName, &str); 1] =
    [(http::header::CACHE_CONTROL, "max-age=60, stale-while-revalidate=3600, stale-if-error=3600")];

fn site(revalidate: Duration) -> Site {
    let (house, origin) = (house(), Origin::new(1));
    let numbers = house.cache(&origin, |named| named.ttl(10 * SECOND).revalidate(revalidate));
    let (responses, router) = pages(&house.caches, &numbers);
    Site { house, origin, numbers, responses, router }
}

fn pages(caches: &Caches, numbers: &Cache<u32, u64>) -> (Responses, Router) {
    let wall = Wall::starting_at(BEGINNING);
    let responses = Responses::with_wall(caches, "pages", Config::default(), wall).unwrap();
    let router = Router::new()
        .route("/", get(async |State(numbers), Extension(ctx)| page(numbers, ctx, KEEP).await))
        .route(
            "/by-language",
            get(async |State(numbers), Extension(ctx)| {
                let (keep, text) = page(numbers, ctx, KEEP).await;
                (keep, [(http::header::VARY, "accept-language")], text)
            }),
        )
        .route("/window", get(async |State(numbers), Extension(ctx)| page(numbers, ctx, WINDOW).await))
        .layer(responses.layer())
        .with_state(numbers.clone());
    (responses, router)
}

/// Number, age and word of the cache.
type Answer = (String, Option<u64>, String);

async fn ask(router: &Router, ctx: &Ctx, path: &str) -> Answer {
    let request = Request::builder().uri(path).header("accept-language", "en").extension(ctx.clone());
    let request = request.body(axum::body::Body::empty()).unwrap();
    let (parts, body) = router.clone().call(request).await.unwrap().into_parts();
    let text = |headers: &HeaderMap, name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let age = text(&parts.headers, "age").map(|age| age.parse().unwrap());
    (body, age, text(&parts.headers, "cache-status").unwrap())
}

impl Site {
    async fn ask(&self, path: &str) -> Answer {
        ask(&self.router, &self.house.ctx, path).await
    }

    fn made_of_stale(&self) -> u64 {
        self.house.meters.counter("cache_made_of_stale_total", "", &[("cache", "pages")]).get()
    }
}

fn answer(body: &str, age: Option<u64>, status: &str) -> Answer {
    (body.to_owned(), age, status.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_kept_is_not_made_of_what_is_served_while_a_new_one_is_loaded() {
    let site = site(3_600 * SECOND);
    site.numbers.get(&site.house.ctx, &1).await.unwrap();
    advance(100 * SECOND).await;
    site.origin.set(2);
    assert_eq!(site.ask("/").await, answer("2", None, "burgeon; fwd=uri-miss; stored"));
    assert_eq!(site.made_of_stale(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_made_of_something_stale_is_as_old_as_makes_it_stale_when_that_is_asked_for_again() {
    for path in ["/", "/by-language"] {
        let site = site(Duration::ZERO);
        assert_eq!(site.ask(path).await.0, "1");
        site.origin.set(2);
        site.origin.fail(true);
        // A purge of the page, and of what it is made of only an expiry: that may be fallen back on.
        site.numbers.expire_tag(&site.house.ctx, "key:1");
        site.responses.cache().invalidate_all(&site.house.ctx);
        // Fresh for 60 s it says, asked for again after 30 s: so it is 30 s old, also to caches further on.
        let (body, age, status) = site.ask(path).await;
        assert_eq!((body.as_str(), age), ("1", Some(30)), "{path}: {status}");
        assert!(status.ends_with("; stored"), "{path}: {status}");
        assert_eq!((site.origin.loads(), site.made_of_stale()), (2, 1), "{path}");
        advance(29 * SECOND).await;
        assert_eq!(site.ask(path).await, answer("1", Some(59), "burgeon; hit; ttl=1"), "{path}");
        site.origin.fail(false);
        advance(2 * SECOND).await;
        let (body, age, status) = site.ask(path).await;
        assert_eq!((body.as_str(), age), ("2", None), "{path}: {status}");
        assert_eq!((site.origin.loads(), site.made_of_stale()), (3, 1), "{path}");
        advance(50 * SECOND).await;
        assert_eq!(site.ask(path).await, answer("2", Some(50), "burgeon; hit; ttl=10"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_made_of_what_is_slow_to_load_is_served_at_once_and_not_believed_for_long() {
    let site = site(Duration::ZERO);
    assert_eq!(site.ask("/").await.0, "1");
    site.origin.set(2);
    site.origin.takes(3 * SECOND);
    site.numbers.expire(&site.house.ctx, &1);
    site.responses.cache().invalidate_all(&site.house.ctx);
    let began = Instant::now();
    assert_eq!(site.ask("/").await.0, "1");
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    advance(4 * SECOND).await;
    site.house.landed().await;
    assert_eq!((site.ask("/").await.0, site.origin.loads()), ("2".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn who_has_changed_something_is_shown_no_page_that_was_made_of_something_stale_for_others() {
    let site = nodes::Site::of(3).await;
    let there = &site.nodes[1];
    let (_, router) = pages(&there.caches, &there.cache);
    assert_eq!(ask(&router, &Ctx::background(), "/").await.0, "1");
    let writer = doubt(&site).await;
    site.origin.hold_next();
    let begun = site.origin.loads();
    let show = |ctx: Ctx, name| {
        let router = router.clone();
        there.tasks.spawn(name, async move { ask(&router, &ctx, "/").await.0 })
    };
    let stranger = show(Ctx::background(), "stranger");
    site.origin.begun(begun + 1).await;
    let joined = there.meters.counter("cache_joined_total", "", &[("cache", "pages")]);
    let own = show(writer.clone(), "writer");
    while joined.get() == 0 {
        tokio::task::yield_now().await;
    }
    site.origin.release();
    assert_eq!((stranger.await.unwrap().as_str(), own.await.unwrap().as_str()), ("1", "none"));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_may_have_been_purged_is_not_shown_while_a_new_one_is_made() {
    for age in [5 * SECOND, 300 * SECOND] {
        let site = nodes::Site::of(3).await;
        let there = &site.nodes[1];
        let (responses, router) = pages(&there.caches, &there.cache);
        let show = async || ask(&router, &Ctx::background(), "/window").await;
        assert_eq!(show().await.0, "1");
        advance(age).await;
        lose(&site).await;
        let (body, _, status) = show().await;
        assert_eq!((body.as_str(), status.as_str()), ("2", "burgeon; fwd=stale; stored"));
        // Who purges softly says that it may be.
        responses.cache().expire_all(&Ctx::background());
        assert_eq!(show().await.2, "burgeon; hit; ttl=0; detail=stale-while-revalidate");
    }
}

#[tokio::test(start_paused = true)]
async fn while_not_every_node_is_heard_no_page_is_shown_that_is_older_than_that_allows() {
    let site = nodes::Site::of(3).await;
    let there = &site.nodes[1];
    let (_, router) = pages(&there.caches, &there.cache);
    let show = async || ask(&router, &Ctx::background(), "/window").await.0;
    assert_eq!(show().await, "1");
    advance(30 * SECOND).await;
    site.hub.cut();
    there.bus.until(|bus| bus.state() == burgeon_cluster::State::Cut).await;
    site.origin.set(2);
    assert_eq!(show().await, "2", "it was half a minute old");
}
