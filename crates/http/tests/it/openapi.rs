//! The API document is what the handlers' types say, and keeps the rules of OpenAPI 3.1.

use std::collections::BTreeSet;

use burgeon_core::{Ctx, Money, Result};
use burgeon_http::openapi::Info;
use burgeon_http::{
    Created, Door, Form, Html, Input, Json, JsonSchema, Mounts, NoContent, Path, Query, Redirect, Router,
    Routes, Submitted, Valid, delete, get, post, put,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Client;

burgeon_core::id! {
    struct ProductId(i64);
}
burgeon_http::newtype!(ProductId(i64));

/// Something to buy.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Product {
    id: ProductId,
    name: String,
    price: Money,
    #[serde(default)]
    tags: Vec<Tag>,
    added: Option<jiff::Timestamp>,
    stock: Stock,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Tag {
    name: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stock {
    InStock,
    SoldOut,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Shelf {
    products: Vec<Product>,
    parent: Option<Box<Shelf>>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct Filter {
    /// Words to look for.
    term: String,
    page: Option<u32>,
    #[serde(default)]
    colours: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct Review {
    stars: u8,
}

impl Input for Review {}
impl Input for Product {}

async fn show_product(_ctx: Ctx, Path(_): Path<ProductId>) -> Result<Json<Product>> {
    Err(burgeon_core::Error::not_found("x"))
}

async fn search(Query(_): Query<Filter>) -> Result<Json<Shelf>> {
    Err(burgeon_core::Error::not_found("x"))
}

async fn create(Valid(Json(product)): Valid<Json<Product>>) -> Result<Created<Product>> {
    Ok(Created::new("/x", product))
}

async fn replace(Path((_, _)): Path<(String, ProductId)>, Json(_): Json<Shelf>) -> NoContent {
    NoContent
}

async fn review(Path(_): Path<ProductId>, _: Submitted<Review>) -> Redirect {
    Redirect::to("/")
}

async fn vote(Form(_): Form<Review>) -> Html {
    Html(String::new())
}

async fn rest(Path(_): Path<String>) {}

fn router() -> Router {
    let list = [
        get("/products/{id}", show_product).tag("Catalog"),
        get("/products", search).tag("Catalog"),
        post("/products", create).tag("Catalog"),
        put("/shops/{shop}/products/{id}", replace),
        post("/products/{id}/reviews", review).tag("Reviews"),
        post("/vote", vote).name("review").tag("Reviews"),
        delete("/files/{*rest}", rest),
        get("/internal", rest_hidden).hidden(),
    ];
    Mounts::new().mount("/", Routes::new(()).routes(list)).with_document(info()).router(Door::new()).unwrap()
}

async fn rest_hidden() {}

fn info() -> Info {
    Info { title: "Shop".into(), version: "1.2".into(), description: "Things to buy <cheaply>.".into() }
}

/// Everything in `document` that breaks a rule of OpenAPI 3.1 that this crate could break.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    must(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "openapi".into());
    must(document["info"]["title"].is_string() && document["info"]["version"].is_string(), "info".into());
    for key in document.as_object().unwrap().keys() {
        let known = ["openapi", "info", "paths", "components", "tags", "servers"];
        must(known.contains(&key.as_str()), format!("unknown key {key}"));
    }

    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        must(path.starts_with('/') && !path.contains('*'), format!("path {path}"));
        let names: BTreeSet<&str> =
            path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            must(
                ["get", "put", "post", "delete", "patch", "options", "head"].contains(&method.as_str()),
                at.clone(),
            );
            let id = operation["operationId"].as_str().unwrap_or_default();
            must(
                !id.is_empty() && ids.insert(id.to_owned()),
                format!("{at}: operationId `{id}` is not unique"),
            );

            let mut seen = BTreeSet::new();
            let mut in_path = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (place, name) = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
                must(seen.insert((place, name)), format!("{at}: {name} twice"));
                must(["path", "query", "header", "cookie"].contains(&place), format!("{at}: in {place}"));
                must(
                    parameter["schema"].is_object() || parameter["schema"].is_boolean(),
                    format!("{at}: {name} schema"),
                );
                if place == "path" {
                    must(parameter["required"] == true, format!("{at}: {name} must be required"));
                    in_path.insert(name);
                }
            }
            must(in_path == names, format!("{at}: path has {names:?}, parameters {in_path:?}"));

            if let Some(body) = operation.get("requestBody") {
                must(
                    body["content"].as_object().is_some_and(|content| !content.is_empty()),
                    format!("{at}: body"),
                );
            }
            let responses = operation["responses"].as_object();
            must(responses.is_some_and(|responses| !responses.is_empty()), format!("{at}: responses"));
            for (status, response) in responses.into_iter().flatten() {
                let is_status =
                    status == "default" || status.parse().is_ok_and(|code: u16| (100..600).contains(&code));
                must(is_status, format!("{at}: status {status}"));
                must(
                    response.get("$ref").is_some() || response["description"].is_string(),
                    format!("{at}: {status}"),
                );
            }
        }
    }
    for section in ["schemas", "responses"] {
        for name in document["components"][section].as_object().into_iter().flatten().map(|(name, _)| name) {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            must(name.bytes().all(allowed), format!("component name {name}"));
        }
    }
    for reference in references(document) {
        let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        must(found.is_some(), format!("{reference} leads nowhere"));
    }
    faults
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "$ref" => vec![text.as_str()],
                other => references(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_document_keeps_the_rules() {
    let document = router().document().unwrap().clone();
    assert_eq!(faults(&document), Vec::<String>::new(), "{document:#}");
}

#[test]
fn the_check_of_the_rules_can_fail() {
    let good = router().document().unwrap().clone();
    let broken = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        faults(&document)
    };
    assert!(!broken("/openapi", "3.0.0".into()).is_empty());
    assert!(!broken("/paths/~1products~1{id}/get/parameters", Value::Array(vec![])).is_empty());
    assert!(!broken("/paths/~1products/get/operationId", "create".into()).is_empty());
    assert!(
        !broken("/components/schemas/Tag", Value::Null).is_empty()
            || broken("/components/schemas", Value::Null).len() > 1
    );
}

#[test]
fn parameters_bodies_and_answers_are_what_the_types_say() {
    let document = router().document().unwrap().clone();
    let operation = |pointer: &str| document.pointer(&format!("/paths/{pointer}")).unwrap();

    let show = operation("~1products~1{id}/get");
    assert_eq!(show["operationId"], "show_product");
    assert_eq!(show["parameters"][0]["name"], "id");
    assert_eq!(show["parameters"][0]["schema"]["$ref"], "#/components/schemas/ProductId");
    let answer = &show["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    // When it is read its tags may be left out, when it is written they are always there.
    assert_eq!(answer, "#/components/schemas/ProductOutput");
    assert_eq!(show["responses"]["default"]["$ref"], "#/components/responses/Problem");

    let search = operation("~1products/get");
    let parameter = |name: &str| {
        let all = search["parameters"].as_array().unwrap();
        all.iter().find(|parameter| parameter["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&parameter("term")["required"], &parameter("page")["required"]),
        (&true.into(), &false.into())
    );
    assert_eq!(parameter("term")["description"], "Words to look for.");
    assert_eq!(parameter("colours")["schema"]["type"], "array");
    assert!(search["responses"].get("422").is_some());

    let create = operation("~1products/post");
    let body = &create["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/Product");
    assert!(create["responses"].get("201").is_some() && create["responses"].get("200").is_none());

    let replace = operation("~1shops~1{shop}~1products~1{id}/put");
    assert_eq!(replace["parameters"][1]["schema"]["$ref"], "#/components/schemas/ProductId");
    assert!(
        operation("~1products~1{id}~1reviews/post")["requestBody"]["content"]
            .get("application/x-www-form-urlencoded")
            .is_some()
    );
    assert!(document.pointer("/paths/~1internal").is_none());

    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["ProductId"]["type"], "integer");
    assert_eq!(schemas["Money"]["type"], "string");
    // The query's type is spread over parameters.
    assert!(schemas.get("Filter").is_none());
    // A type that is the same both ways has one name, one that only refers to a differing type has two.
    assert!(schemas.get("TagOutput").is_none() && schemas.get("ShelfOutput").is_some());
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let document = router().document().unwrap().clone();
    let mut client = Client::new(&router());
    assert_eq!(client.get("/openapi.json").await.json(), document);
    let page = client.get("/docs").await;
    assert_eq!(
        (page.status, page.header(burgeon_http::header::CONTENT_TYPE)),
        (200, "text/html; charset=utf-8")
    );
    let text = page.text();
    for part in [
        "Things to buy &lt;cheaply&gt;.",
        "id=\"show_product\"",
        "id=\"type-Money\"",
        "prefers-color-scheme:dark",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(
        !text.contains("http://") && !text.contains("https://") && !text.contains("<script"),
        "no other host"
    );
    // Every link inside the page leads somewhere.
    for link in text.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(text.contains(&format!("id=\"{link}\"")), "{link}");
    }
}
