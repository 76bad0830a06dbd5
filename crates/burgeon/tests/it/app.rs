//! Applications as their authors write them: modules, their order, what is refused at start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burgeon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{Place, get as fetch};

async fn now(ctx: Ctx, State(db): State<Db>) -> Result<String> {
    let one: i64 = sql!("one", "select 1").one(&db.read(&ctx)).await?;
    Ok(format!("The database says {one}."))
}

fn hello(db: Db) -> Module {
    Module::new("hello").routes(Routes::new(db).routes([get("/", now)]))
}

#[tokio::test]
async fn hello_with_a_database_serves_and_stops() {
    let place = Place::new();
    let node = place.start(App::new("hello").module(hello)).await;
    assert_eq!(fetch(node.edge(), "/").await, (200, "The database says 1.".to_owned()));
    assert_eq!(fetch(node.edge(), "/readyz").await.0, 200);
    assert_ne!(node.address().unwrap().port(), 0);
    assert_ne!(node.admin_address(), node.address());
    assert!(place.directory.path().join("test.db").exists());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_second_start_finds_what_the_first_left() {
    let place = Place::new();
    for _ in 0..2 {
        place.start(App::new("hello").module(hello)).await.stop().await.unwrap();
    }
}

mod catalog {
    use super::*;

    #[burgeon::api]
    pub trait Catalog {
        async fn price(&self, ctx: &Ctx, sku: &str) -> Result<i64>;
    }

    #[derive(Clone)]
    struct Shelf {
        factor: i64,
    }

    impl Catalog for Shelf {
        async fn price(&self, _ctx: &Ctx, sku: &str) -> Result<i64> {
            Ok(sku.len() as i64 * self.factor)
        }
    }

    pub fn module(config: Prices) -> Module {
        Module::new("catalog").provides(CatalogApi::direct(Shelf { factor: config.factor }))
    }
}

mod orders {
    use super::*;

    pub fn module(catalog: catalog::CatalogApi) -> Module {
        async fn total(
            ctx: Ctx,
            State(catalog): State<catalog::CatalogApi>,
            Path(sku): Path<String>,
        ) -> Result<String> {
            Ok(catalog.price(&ctx, &sku).await?.to_string())
        }
        Module::new("orders").routes(Routes::new(catalog).routes([get("/total/{sku}", total)]))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Prices {
    factor: i64,
}

impl Default for Prices {
    fn default() -> Self {
        Self { factor: 10 }
    }
}

#[tokio::test]
async fn a_module_takes_configuration_and_anothers_api_by_their_types_in_any_order() {
    let place = Place::new().with("BURGEON__PRICES__FACTOR", "7");
    for serialised in [false, true] {
        let app = App::new("shop").module(orders::module).module(catalog::module).config::<Prices>("prices");
        let app = if serialised { app.with_serialised_calls() } else { app };
        let node = place.start(app).await;
        assert_eq!(fetch(node.edge(), "/total/tea").await, (200, "21".to_owned()));
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_provides_is_named_with_who_asks_and_what_would_help() {
    let refused = Place::new()
        .refusal(App::new("shop").module(orders::module).module(catalog::module))
        .await
        .to_string();
    assert!(refused.starts_with("2 modules ask for what nothing provides"), "{refused}");
    assert!(refused.contains("orders::module (at crates/burgeon/tests/it/app.rs:"), "{refused}");
    assert!(refused.contains("asks for `it::app::catalog::CatalogApi`"), "{refused}");
    assert!(refused.contains("asks for `it::app::Prices`"), "{refused}");
    assert!(refused.contains("add `.config::<Prices>(\"name\")` to the App"), "{refused}");

    let refused = Place::new().refusal(App::new("shop").module(orders::module)).await.to_string();
    assert!(refused.contains("add the module that says `.provides(CatalogApi::direct(..))`"), "{refused}");
}

mod hen {
    use super::*;
    #[burgeon::api]
    pub trait Hen {
        async fn lay(&self, ctx: &Ctx) -> Result<()>;
    }
    pub fn module(_egg: egg::EggApi) -> Module {
        Module::new("hen")
    }
}

mod egg {
    use super::*;
    #[burgeon::api]
    pub trait Egg {
        async fn hatch(&self, ctx: &Ctx) -> Result<()>;
    }
    pub fn module(_hen: hen::HenApi) -> Module {
        Module::new("egg")
    }
}

#[tokio::test]
async fn two_modules_that_take_each_others_api_are_told_so() {
    let refused =
        Place::new().refusal(App::new("farm").module(hen::module).module(egg::module)).await.to_string();
    assert!(
        refused.contains("egg::module lies beside it and would perhaps provide `EggApi`, but waits itself"),
        "{refused}"
    );
    assert!(refused.contains("two modules cannot each take the other's API"), "{refused}");
}

#[tokio::test]
async fn what_is_there_twice_is_refused_with_both_places() {
    let here = "crates/burgeon/tests/it/app.rs:";
    let two_of_one_name = App::new("twice").module(|| Module::new("one")).module(|| Module::new("one"));
    let refused = Place::new().refusal(two_of_one_name).await.to_string();
    assert!(refused.starts_with("two modules are called `one`"), "{refused}");
    assert_eq!(refused.matches(here).count(), 2, "{refused}");

    async fn page() -> &'static str {
        ""
    }
    let routes = || Routes::new(()).routes([get("/page", page)]);
    let two_routes = App::new("twice")
        .module(move || Module::new("one").routes(routes()))
        .module(move || Module::new("two").routes(routes()));
    let refused = Place::new().refusal(two_routes).await.to_string();
    assert!(refused.contains("two routes are GET /page"), "{refused}");

    let two_apis =
        App::new("twice").config::<Prices>("prices").module(catalog::module).module(|prices: Prices| {
            let _ = prices;
            struct Other;
            impl catalog::Catalog for Other {
                async fn price(&self, _ctx: &Ctx, _sku: &str) -> Result<i64> {
                    Ok(1)
                }
            }
            Module::new("other").provides(catalog::CatalogApi::direct(Other))
        });
    let refused = Place::new().refusal(two_apis).await.to_string();
    assert!(refused.starts_with("the API `Catalog` is provided twice"), "{refused}");
    assert!(refused.contains("by module `catalog`") && refused.contains("by module `other`"), "{refused}");

    let two_sections = App::new("twice").config::<Prices>("prices").config::<Prices>("prices");
    let refused = Place::new().refusal(two_sections).await.to_string();
    assert!(refused.starts_with("two sections of the configuration are called `prices`"), "{refused}");
    assert_eq!(refused.matches(here).count(), 2, "{refused}");

    let of_one_type = App::new("twice").config::<Prices>("prices").config::<Prices>("more");
    let refused = Place::new().refusal(of_one_type).await.to_string();
    assert!(
        refused.contains("the section `[more]` has the same type as the configuration section `[prices]`"),
        "{refused}"
    );

    let the_houses_own = App::new("twice").config::<Prices>("http");
    let refused = Place::new().refusal(the_houses_own).await.to_string();
    assert!(refused.starts_with("the section `[http]` belongs to Burgeon"), "{refused}");
}

#[tokio::test]
async fn modules_after_each_other_in_a_circle_are_named() {
    let circle = App::new("circle")
        .module(|| Module::new("one").after(["two"]))
        .module(|| Module::new("two").after(["one"]));
    let refused = Place::new().refusal(circle).await.to_string();
    assert_eq!(refused, "modules come after each other: `one` after `two` after `one`");
}

#[tokio::test]
async fn a_module_function_may_fail_and_its_reason_is_told() {
    let app =
        App::new("fails").module(|| -> Result<Module> { Err(Error::internal("the template is missing")) });
    let refused = Place::new().refusal(app).await.to_string();
    assert!(
        refused.contains("the module function") && refused.contains("the template is missing"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_wrong_configuration_starts_nothing() {
    let built = Arc::new(AtomicUsize::new(0));
    let count = built.clone();
    let app = App::new("wrong").module(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Module::new("one")
    });
    let place =
        Place::new().with("BURGEON__HTTP__PROT", "80").with("BURGEON__DATABASE__STATEMENT_TIMEOUT", "0s");
    let refused = place.refusal(app).await;
    let text = refused.to_string();
    assert_eq!(refused.exit_code(), 2);
    assert!(
        text.contains("variable BURGEON__HTTP__PROT: `http.prot` is not a key; did you mean `http.port`?"),
        "{text}"
    );
    assert!(text.contains("`database.statement_timeout` is 0"), "{text}");
    assert!(text.contains("is set in variable BURGEON__DATABASE__STATEMENT_TIMEOUT"), "{text}");
    assert_eq!(built.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_refusal() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let place = Place::new().with("BURGEON__HTTP__PORT", &port);
    let refused = place.refusal(App::new("hello").module(hello)).await.to_string();
    assert!(refused.contains(&port) && refused.contains("in use"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_a_clear_refusal() {
    let place = Place::new();
    std::fs::write(
        place.directory.path().join("test.db"),
        "This is not a database, whatever its name says. ".repeat(100),
    )
    .unwrap();
    let refused = place.refusal(App::new("hello").module(hello)).await.to_string();
    assert!(refused.starts_with("the database cannot be opened") && refused.contains("test.db"), "{refused}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_waited_for_and_then_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new()
        .with("BURGEON__DATABASE__URL", &format!("postgres://app:hunter2@{closed}/shop"))
        .with("BURGEON__APP__DATABASE_WAIT", "1s");
    let began = std::time::Instant::now();
    let refused = place.refusal(App::new("hello").module(hello)).await.to_string();
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    assert!(refused.starts_with("the database cannot be reached (tried for "), "{refused}");
    assert!(refused.contains("app.database_wait") && !refused.contains("hunter2"), "{refused}");
}

burgeon::id! {
    /// Names a product.
    pub struct ProductId(i64);
}

#[tokio::test]
async fn an_id_goes_through_database_path_and_json() {
    async fn find(ctx: Ctx, State(db): State<Db>, Path(id): Path<ProductId>) -> Result<Json<ProductId>> {
        Ok(Json(sql!("same", "select cast($1 as bigint)", id).one(&db.read(&ctx)).await?))
    }
    let module = |db: Db| Module::new("ids").routes(Routes::new(db).routes([get("/{id}", find)]));
    let node = Place::new().start(App::new("ids").module(module)).await;
    assert_eq!(fetch(node.edge(), "/42").await, (200, "42".to_owned()));
    assert_eq!(fetch(node.edge(), "/tea").await.0, 404);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_first_start_that_failed_is_begun_again_and_one_that_is_done_is_not() {
    let place = Place::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let app = |works: bool| {
        let runs = runs.clone();
        App::new("fills").module(move || {
            Module::new("fills").first_start("seed", async move |_: Ctx, _: Db, progress: Progress| {
                runs.fetch_add(1, Ordering::Relaxed);
                progress.advance(1);
                if works { Ok(()) } else { Err(Error::internal("the seed did not sprout")) }
            })
        })
    };
    let refused = place.refusal(app(false)).await.to_string();
    assert!(refused.starts_with("the first start `fills/seed` failed"), "{refused}");
    assert!(refused.contains("the seed did not sprout"), "{refused}");
    for _ in 0..2 {
        place.start(app(true)).await.stop().await.unwrap();
    }
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_node_is_warm_before_its_first_visitor_and_serves_though_it_could_not_be() {
    async fn told(State(said): State<Arc<Mutex<Vec<&'static str>>>>) -> String {
        said.lock().unwrap().join(" ")
    }
    let place = Place::new().with("BURGEON__APP__WARM_UP_WAIT", "300ms");
    let said = Arc::new(Mutex::new(Vec::new()));
    let app = || {
        let said = said.clone();
        let warm = |what: &'static str, path: &'static str, fails: bool| {
            let said = said.clone();
            move || {
                let routes = Routes::new(said.clone()).routes([get(path, told)]);
                Module::new(what).routes(routes).warm_up(async move |_: Ctx, _: Db| {
                    said.lock().unwrap().push(what);
                    if fails { Err(Error::unavailable("The sun does not shine.")) } else { Ok(()) }
                })
            }
        };
        let stuck = || Module::new("stuck").warm_up(async |_: Ctx| std::future::pending().await);
        App::new("warms").module(warm("one", "/one", true)).module(warm("two", "/two", false)).module(stuck)
    };
    // At each start.
    for times in 1..=2 {
        let node = place.start(app()).await;
        assert_eq!(fetch(node.edge(), "/two").await, (200, ["one two"].repeat(times).join(" ")));
        assert_eq!(fetch(node.edge(), "/readyz").await.0, 200);
        node.stop().await.unwrap();
    }
}
