//! The shop as seen from outside: two requests over plain HTTP.

use std::time::Duration;

use burgeon::http::StatusCode;
use burgeon::prelude::*;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Uri, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use crate::catalog::ProductId;
use crate::orders::Placing;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST: usize = 4 * 1024 * 1024;

pub(super) struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    base: String,
}

/// What became of an order.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// From when it was due.
    pub(super) took: Duration,
}

pub(super) enum Outcome {
    Placed,
    SoldOut,
    /// The shop said no.
    Refused(StatusCode),
    /// There was no answer.
    Failed(String),
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self> {
        let uri: Uri =
            url.parse().map_err(|error| Error::invalid(format!("--url is no address: {error}.")))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(Error::invalid("--url must be such as http://127.0.0.1:3000."));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// The shop's most popular products that are there.
    pub(super) async fn products(&self) -> Result<Vec<ProductId>> {
        #[derive(Deserialize)]
        struct Page {
            products: Vec<Listed>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Listed {
            id: ProductId,
        }
        let mut products = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/products?limit=60&in_stock=true{after}");
            let (status, body) = self.ask(Method::GET, &path, Bytes::new()).await.map_err(|why| {
                Error::unavailable(format!(
                    "There is no shop at {}: {why}. Start it, or name it with --url.",
                    self.base
                ))
            })?;
            if !status.is_success() {
                return Err(Error::unavailable(format!("{}{path} answered {status}.", self.base)));
            }
            let page: Page = serde_json::from_slice(&body).map_err(|error| {
                Error::unavailable(format!("{}{path} is not this shop's API.", self.base)).with_source(error)
            })?;
            products.extend(page.products.iter().map(|listed| listed.id));
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None if products.is_empty() => {
                    return Err(Error::unavailable("The shop has nothing to sell."));
                }
                None => return Ok(products),
            }
        }
    }

    /// Places an order that was due at `since`.
    pub(super) async fn place(&self, placing: Placing, since: Instant) -> Answer {
        let outcome = match serde_json::to_vec(&placing) {
            Ok(body) => match self.ask(Method::POST, "/api/orders", body.into()).await {
                Ok((StatusCode::CREATED, _)) => Outcome::Placed,
                Ok((StatusCode::CONFLICT, _)) => Outcome::SoldOut,
                Ok((status, _)) => Outcome::Refused(status),
                Err(why) => Outcome::Failed(why),
            },
            Err(error) => Outcome::Failed(error.to_string()),
        };
        Answer { outcome, took: since.elapsed() }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| told(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok((status, body.to_bytes()))
        };
        timeout(PATIENCE, exchange).await.map_err(|_| format!("no answer within {PATIENCE:?}"))?
    }
}

/// The error and what is behind it; the first alone says only that there was one.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
