//! What the catalogue answers over HTTP: JSON and pictures. Its pages are the storefront's.

use std::time::Duration;

use burgeon::cache::http::KeepFor;
use burgeon::http::{HeaderMap, HeaderValue, StatusCode, header};
use burgeon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::Catalog;
use super::category::Category;
use super::picture::{self, Look, Shape};
use super::product::{Product, ProductId};
use super::search::{Found, Search};
use super::service::Products;

/// A list may be so old; prices in it are never: a price that changes takes the lists along that it is in.
const LIST: Duration = Duration::from_secs(5);
/// What only a new version of the shop changes.
const FIXED: Duration = Duration::from_secs(60 * 60);

pub(super) async fn search(
    ctx: Ctx,
    State(products): State<Products>,
    Query(search): Query<Search>,
) -> Result<(HeaderMap, Json<Found>)> {
    let found = products.search(&ctx, search).await?;
    let keep = KeepFor::new(LIST).public().tags(found.products.iter().map(|product| product.id.tag()));
    Ok((keep.headers(), Json(found)))
}

pub(super) async fn product(
    ctx: Ctx,
    State(products): State<Products>,
    Path(id): Path<ProductId>,
) -> Result<Json<Product>> {
    Ok(Json(products.product(&ctx, id).await?.or_not_found("product")?))
}

/// A department in the list of all.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Department {
    slug: &'static str,
    title: &'static str,
    tagline: &'static str,
}

pub(super) async fn departments() -> (HeaderMap, Json<Vec<Department>>) {
    let department = |category: Category| Department {
        slug: category.slug(),
        title: category.title(),
        tagline: category.tagline(),
    };
    let all = Category::ALL.into_iter().map(department).collect();
    (KeepFor::new(FIXED).public().browsers(FIXED).headers(), Json(all))
}

/// A picture by its look: `mug-moss-17.svg`. It asks nobody, so it costs no more than it weighs.
pub(super) async fn picture(Path(name): Path<String>, headers: HeaderMap) -> Result<Response> {
    let svg = drawn(&name).or_not_found("picture")?;
    let etag = format!("\"{:016x}\"", fingerprint(svg.as_bytes()));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|sent| sent.as_bytes() == etag.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.reply()? } else { svg.reply()? };
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    head.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(Error::internal)?);
    Ok(response)
}

fn drawn(name: &str) -> Option<String> {
    let mut parts = name.strip_suffix(".svg")?.splitn(3, '-');
    let shape = parts.next()?.parse::<Shape>().ok()?;
    let colour = parts.next()?;
    let variation = parts.next()?.parse().ok()?;
    Some(picture::draw(Look { shape, colour, variation }))
}

/// FNV-1a, to tell one picture from another.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
