//! Routes, extractors, replies and refusals.

use std::convert::Infallible;
use std::time::Duration;

use burgeon_core::units::Size;
use burgeon_core::{Ctx, Error, Kind, OrNotFound, Result};
use burgeon_http::{
    Axum, Body, Created, Door, Html, Json, JsonSchema, Mounts, NoContent, Path, Policy, Query, Redirect,
    Reply, Request, Response, Router, Routes, State, StatusCode, delete, get, header, post, put,
};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

#[derive(Clone)]
struct Shop {
    name: &'static str,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Product {
    id: i64,
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    page: Option<u32>,
}

async fn home() -> &'static str {
    "welcome"
}

async fn show(
    State(shop): State<Shop>,
    Path(id): Path<i64>,
    Query(page): Query<Page>,
) -> Result<Json<Product>> {
    let found = (id < 100).then(|| format!("{} {id} page {}", shop.name, page.page.unwrap_or(1)));
    Ok(Json(Product { id, name: found.or_not_found("product")? }))
}

async fn create(ctx: Ctx, Json(product): Json<Product>) -> Result<Created<Product>> {
    assert!(ctx.deadline().is_some());
    Ok(Created::new(format!("/products/{}", product.id), product))
}

async fn remove(Path((shop, id)): Path<(String, i64)>) -> Result<NoContent> {
    match (shop.as_str(), id) {
        ("tea pot", 7) => Ok(NoContent),
        _ => Err(Error::conflict("Not that one.")),
    }
}

async fn broken() -> Result<Html> {
    Err(Error::internal(std::io::Error::other("password=hunter2")))
}

fn router() -> Router {
    let routes = Routes::new(Shop { name: "shop" }).routes([
        get("/", home),
        get("/products/{id}", show).name("show product"),
        post("/products", create).timeout(Duration::from_secs(2)).body_limit(Size::bytes(100)),
        delete("/{shop}/products/{id}", remove),
        get("/broken", broken),
        get("/moved", async || Redirect::to("/")),
    ]);
    Mounts::new().mount("/", routes).router(Door::new()).unwrap()
}

async fn send(router: &Router, request: http::Request<Body>) -> (StatusCode, http::HeaderMap, String) {
    let response: Response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.read(Size::mib(1)).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

fn request(method: &str, path: &str) -> Request {
    http::Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

fn json(method: &str, path: &str, body: &'static str) -> Request {
    let mut request = request(method, path).map(|_| Body::from(body));
    request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    request
}

#[tokio::test]
async fn a_handler_gets_what_its_types_ask_for() {
    let (status, headers, body) = send(&router(), request("GET", "/products/7?page=3")).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, r#"{"id":7,"name":"shop 7 page 3"}"#));
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");

    let (status, headers, body) =
        send(&router(), json("POST", "/products", r#"{"id":9,"name":"cup"}"#)).await;
    assert_eq!((status.as_u16(), body.as_str()), (201, r#"{"id":9,"name":"cup"}"#));
    assert_eq!(headers[header::LOCATION], "/products/9");

    let (status, ..) = send(&router(), request("DELETE", "/tea%20pot/products/7")).await;
    assert_eq!(status.as_u16(), 204);
    let (status, headers, _) = send(&router(), request("GET", "/moved")).await;
    assert_eq!((status.as_u16(), headers[header::LOCATION].as_bytes()), (303, b"/".as_slice()));
}

#[tokio::test]
async fn a_failure_is_a_problem_and_hides_its_cause() {
    let cases = [
        (request("GET", "/products/100"), 404, "There is no such product."),
        (request("GET", "/products/seven"), 404, "There is nothing at this address."),
        (request("GET", "/nowhere"), 404, "There is nothing at this address."),
        (request("GET", "/products/%ff"), 400, "The address is not valid UTF-8."),
        (request("GET", "/products/1?page=x"), 422, "Some fields are not valid."),
        (request("GET", "/broken"), 500, "Something went wrong on our side."),
        (request("POST", "/products"), 415, "Send a JSON body with `Content-Type: application/json`."),
        (
            json("POST", "/products", "{"),
            400,
            "The body is not JSON: EOF while parsing an object at line 1 column 1.",
        ),
        (json("POST", "/products", r#"{"id":"x","name":""}"#), 422, "Some fields are not valid."),
    ];
    for (request, expected, detail) in cases {
        let asked = format!("{} {}", request.method(), request.uri());
        let (status, headers, body) = send(&router(), request).await;
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status.as_u16(), problem["detail"].as_str().unwrap()), (expected, detail), "{asked}");
        assert_eq!(problem["status"], expected, "{asked}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{asked}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{asked}");
        assert!(!body.contains("hunter2"), "{asked}");
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_instead_of_a_problem() {
    let mut asked = request("GET", "/nowhere");
    asked.headers_mut().insert(header::ACCEPT, "text/html,*/*;q=0.8".parse().unwrap());
    let (status, headers, body) = send(&router(), asked).await;
    assert_eq!(status.as_u16(), 404);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(body.contains("<h1>Not Found</h1>"), "{body}");
}

#[tokio::test]
async fn a_body_above_its_limit_is_refused_whether_announced_or_not() {
    let large = "x".repeat(101);
    for body in [
        Body::from(large.clone()),
        Body::stream(futures_util::stream::iter([Ok(large.clone().into_bytes().into())])),
        Body::stream(futures_util::stream::iter((0..101).map(|_| Ok("x".into())))),
    ] {
        let request = json("POST", "/products", "").map(|_| body);
        let (status, _, text) = send(&router(), request).await;
        assert_eq!(status.as_u16(), 413, "{text}");
        assert!(text.contains("larger than the 100"), "{text}");
    }
}

#[tokio::test]
async fn head_options_and_405_follow_from_the_routes() {
    let (status, headers, body) = send(&router(), request("HEAD", "/")).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, ""));
    assert_eq!(headers[header::CONTENT_LENGTH], "7");

    let (status, headers, _) = send(&router(), request("OPTIONS", "/products/7")).await;
    assert_eq!((status.as_u16(), headers[header::ALLOW].as_bytes()), (204, b"GET, HEAD, OPTIONS".as_slice()));
    let (status, headers, _) = send(&router(), request("GET", "/products")).await;
    assert_eq!((status.as_u16(), headers[header::ALLOW].as_bytes()), (405, b"OPTIONS, POST".as_slice()));
    let (status, ..) = send(&router(), request("HEAD", "/products")).await;
    assert_eq!(status.as_u16(), 405);
}

#[test]
fn two_routes_on_one_address_are_refused_with_both_places() {
    let routes = Routes::new(()).routes([
        get("/a/{id}", home),
        get("/a/{id}", home),
        put("/a/{name}", home),
        get("x", home),
    ]);
    let error = Mounts::new().mount("/", routes).router(Door::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let text = error.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("two routes are GET /a/{id}"), "{text}");
    assert_eq!(text.matches("routing.rs:").count(), 4, "{text}");
    assert!(text.contains("give the parts in braces the same names"), "{text}");
    assert!(text.contains("does not begin with `/`"), "{text}");
}

#[test]
fn the_table_shows_every_policy() {
    let routes = Routes::new(()).routes([get("/", home)
        .critical()
        .timeout(Duration::from_secs(2))
        .body_limit(Size::kib(64))
        .run_to_the_end()
        .with(Policy::new("limit", "10 per minute", tower::layer::util::Identity::new()))]);
    let table = Mounts::new().mount("/api", routes).table();
    assert_eq!((table[0].path.as_str(), table[0].name.as_str()), ("/api", "home"));
    let expected = ["timeout 2s", "critical_plus", "body 64KiB", "runs to the end", "limit 10 per minute"];
    assert_eq!(table[0].policy_texts(), expected);
}

#[tokio::test]
async fn policies_wrap_a_route_in_the_order_they_are_written() {
    let mark = |name: &'static str| {
        let layer = tower::layer::layer_fn(move |inner: burgeon_http::RouteService| {
            inner.map_response(move |mut response: Response| {
                response.headers_mut().append("x-mark", name.parse().unwrap());
                response
            })
        });
        Policy::new(name, "", layer)
    };
    let routes = Routes::new(()).routes([get("/{id}", async |Path(id): Path<u8>| id.to_string())
        .with(mark("outer"))
        .with(mark("inner"))]);
    let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
    let (_, headers, body) = send(&router, request("GET", "/7")).await;
    let marks: Vec<_> = headers.get_all("x-mark").iter().map(|mark| mark.to_str().unwrap()).collect();
    assert_eq!((body.as_str(), marks), ("7", vec!["inner", "outer"]));
}

#[tokio::test]
async fn an_axum_router_nests_in_ours_and_ours_in_axum() {
    let theirs = axum::Router::new().route(
        "/hello/{name}",
        axum::routing::get(async |axum::extract::Path(name): axum::extract::Path<String>| name),
    );
    let ours = Mounts::new()
        .mount("/", Routes::new(()).routes([get("/old", home)]))
        .nest("/old", theirs)
        .router(Door::new())
        .unwrap();
    assert_eq!(send(&ours, request("GET", "/old/hello/ada?x=1")).await.2, "ada");
    assert_eq!(send(&ours, request("GET", "/old")).await.2, "welcome");
    assert_eq!(send(&ours, request("GET", "/old/nothing")).await.0.as_u16(), 404);

    let around = axum::Router::new().nest_service("/new", ours);
    let response: Result<_, Infallible> =
        around.oneshot(request("GET", "/new/old/hello/bob").map(axum::body::Body::new)).await;
    let body = Body::new(response.unwrap().into_body()).read(Size::kib(1)).await.unwrap();
    assert_eq!(body, "bob");
}

#[tokio::test]
async fn an_axum_extractor_and_response_can_be_wrapped() {
    async fn handler(
        Axum(axum::extract::RawQuery(query)): Axum<axum::extract::RawQuery>,
        Axum(body): Axum<String>,
    ) -> Result<impl Reply> {
        Ok(Axum((StatusCode::ACCEPTED, format!("{} {body}", query.unwrap_or_default()))))
    }
    let routes = Routes::new(()).routes([post("/", handler)]);
    let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
    let (status, _, body) = send(&router, request("POST", "/?a=b").map(|_| Body::from("text"))).await;
    assert_eq!((status.as_u16(), body.as_str()), (202, "a=b text"));
    let (status, _, body) = send(&router, request("POST", "/").map(|_| Body::from(vec![0xff]))).await;
    assert_eq!(status.as_u16(), 400, "{body}");
}
