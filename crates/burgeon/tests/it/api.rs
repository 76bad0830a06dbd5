//! Calls from module to module, direct and through serialisation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon::api::Api as _;
use burgeon::{Criticality, Ctx, Deadline, Error, Field, Kind, Position, Principal, Result, Tenant};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    sku: String,
    price: i64,
    /// Lost on a wire; a direct call keeps it.
    #[serde(skip)]
    cached: bool,
}

/// What the tests ask of a catalog.
#[burgeon::api]
pub trait Catalog {
    /// The product of this name.
    async fn find(&self, ctx: &Ctx, sku: &str) -> Result<Product>;
    async fn prices(&self, ctx: &Ctx, skus: &[String], factor: i64) -> Result<Vec<i64>>;
    async fn count(&self, ctx: &Ctx) -> Result<u64>;
    async fn fail(&self, ctx: &Ctx, product: Product) -> Result<()>;
}

#[derive(Default, Clone)]
struct Shelf {
    seen: Arc<Mutex<Vec<Ctx>>>,
}

impl Catalog for Shelf {
    async fn find(&self, ctx: &Ctx, sku: &str) -> Result<Product> {
        self.seen.lock().unwrap().push(ctx.clone());
        ctx.advance(Position { timeline: 1, lsn: 42 });
        tokio::task::yield_now().await;
        Ok(Product { sku: sku.to_owned(), price: 5, cached: true })
    }

    async fn prices(&self, _ctx: &Ctx, skus: &[String], factor: i64) -> Result<Vec<i64>> {
        Ok(skus.iter().map(|sku| sku.len() as i64 * factor).collect())
    }

    async fn count(&self, _ctx: &Ctx) -> Result<u64> {
        Ok(u64::MAX)
    }

    async fn fail(&self, _ctx: &Ctx, product: Product) -> Result<()> {
        if product.price < 0 {
            return Err(Error::invalid_fields(vec![Field {
                field: "price".into(),
                message: "is negative".into(),
            }]));
        }
        Err(Error::unavailable("The shelf is closed.")
            .with_retry_after(Duration::from_secs(3))
            .with_source("password=hunter2"))
    }
}

fn handles() -> [(&'static str, Shelf, CatalogApi); 2] {
    let (direct, forced) = (Shelf::default(), Shelf::default());
    [
        ("direct", direct.clone(), CatalogApi::direct(direct)),
        ("serialised", forced.clone(), CatalogApi::direct(forced).serialised()),
    ]
}

fn product(price: i64) -> Product {
    Product { sku: "tea".to_owned(), price, cached: false }
}

#[tokio::test]
async fn both_ways_give_the_same_answers() {
    for (way, _, catalog) in handles() {
        let ctx = Ctx::background();
        assert_eq!(catalog.find(&ctx, "tea").await.unwrap().sku, "tea", "{way}");
        assert_eq!(catalog.prices(&ctx, &["a".into(), "bcd".into()], 2).await.unwrap(), [2, 6], "{way}");
        assert_eq!(catalog.count(&ctx).await.unwrap(), u64::MAX, "{way}");
    }
}

#[tokio::test]
async fn an_error_arrives_with_what_another_process_may_know() {
    for (way, _, catalog) in handles() {
        let error = catalog.fail(&Ctx::background(), product(1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.public(), error.retry_after()),
            (Kind::Unavailable, "The shelf is closed.", Some(Duration::from_secs(3))),
            "{way}"
        );
        assert_eq!(
            error.detail().contains("hunter2"),
            way == "direct",
            "{way}: the source stays in its process"
        );

        let error = catalog.fail(&Ctx::background(), product(-1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{way}");
        assert_eq!(error.fields().first().map(|field| &*field.field), Some("price"), "{way}");
    }
}

#[tokio::test]
async fn the_context_arrives_and_what_the_call_has_seen_comes_back() {
    for (way, shelf, catalog) in handles() {
        let now = tokio::time::Instant::now().into_std();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let ctx = Ctx::background()
            .with_deadline(Deadline::after(now, Duration::from_secs(10)))
            .with_criticality(Criticality::Sheddable)
            .with_trace(trace)
            .with_principal(Principal::new("ada"))
            .with_tenant(Tenant::new("lovelace"));
        ctx.advance(Position { timeline: 1, lsn: 7 });
        catalog.find(&ctx, "tea").await.unwrap();
        assert_eq!(ctx.position(), Position { timeline: 1, lsn: 42 }, "{way}");

        let seen = shelf.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.criticality(), Criticality::Sheddable, "{way}");
        assert_eq!(seen.trace(), Some(trace), "{way}");
        assert_eq!(seen.principal().map(Principal::as_str), Some("ada"), "{way}");
        assert_eq!(seen.tenant().map(Tenant::as_str), Some("lovelace"), "{way}");
        let left = seen.deadline().unwrap().remaining(now);
        assert!(left > Duration::from_secs(9) && left <= Duration::from_secs(11), "{way}: {left:?}");
    }
}

#[tokio::test]
async fn what_serialisation_loses_is_lost_only_where_it_is_forced() {
    for (way, _, catalog) in handles() {
        let found = catalog.find(&Ctx::background(), "tea").await.unwrap();
        assert_eq!(found.cached, way == "direct", "{way}");
    }
}

#[tokio::test]
async fn what_does_not_survive_serialisation_is_a_named_defect() {
    #[derive(Clone, Serialize, Deserialize)]
    pub struct Odd {
        by_pair: std::collections::HashMap<(i32, i32), i32>,
    }

    #[burgeon::api]
    trait Odds {
        async fn odd(&self, ctx: &Ctx) -> Result<Odd>;
    }

    struct One;
    impl Odds for One {
        async fn odd(&self, _ctx: &Ctx) -> Result<Odd> {
            Ok(Odd { by_pair: [((1, 2), 3)].into() })
        }
    }
    let ctx = Ctx::background();
    assert_eq!(OddsApi::direct(One).odd(&ctx).await.unwrap().by_pair.len(), 1);
    let error = OddsApi::direct(One).serialised().odd(&ctx).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(
        error.detail().contains("Odds.odd: its result did not survive serialisation"),
        "{}",
        error.detail()
    );
}

/// Handlers run on many threads; a handle's future must go with them.
#[test]
fn a_call_can_be_sent_to_another_thread() {
    fn sent<T: Send>(_: T) {}
    let [(_, _, catalog), _] = handles();
    let ctx = Ctx::background();
    sent(catalog.find(&ctx, "tea"));
}
