//! What several tests need.

use burgeon::http::{Body, Response};
use burgeon::{App, Edge, Environment, Node, StartError};

/// A directory of its own and free ports, so that tests neither meet each other nor anything else on the machine.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub environment: Environment,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let environment = Environment::empty(directory.path())
            .with("BURGEON__DATABASE__URL", format!("sqlite:{}", directory.path().join("test.db").display()))
            .with("BURGEON__HTTP__PORT", "0")
            .with("BURGEON__HTTP__WORKERS", "1")
            .with("BURGEON__ADMIN__PORT", "0");
        Self { directory, environment }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    pub async fn start(&self, app: App) -> Node {
        app.start(&self.environment).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why it does not start.
    pub async fn refusal(&self, app: App) -> StartError {
        match app.start(&self.environment).await {
            Ok(_) => panic!("the application started"),
            Err(refused) => refused,
        }
    }
}

pub async fn get(edge: &Edge, path: &str) -> (u16, String) {
    let request = http::Request::get(path).header("host", "localhost").body(Body::from(())).unwrap();
    let Ok(response): Result<Response, _> = tower::Service::call(&mut edge.clone(), request).await;
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
