//! What probes are told.

use burgeon_core::Error;
use burgeon_http::{Door, Mounts, probes};
use burgeon_runtime::Health;

use crate::client::Client;

#[tokio::test]
async fn a_node_without_its_database_is_alive_and_not_ready() {
    let health = Health::new();
    health.check("cache", async || Ok(()));
    health.check("database", async || Err(Error::unavailable("away").with_source("host=db7 refused")));
    let router = Mounts::new().mount("/", probes(&health)).router(Door::new()).unwrap();
    let mut client = Client::new(&router);

    assert_eq!(client.get("/livez").await.status, 200);
    assert_eq!(client.get("/startupz").await.status, 200);
    let answer = client.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["ok"]), (503, &false.into()));
    let parts = answer.json()["parts"].clone();
    let of = |name: &str| {
        parts.as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()["state"].clone()
    };
    assert_eq!((of("cache"), of("database")), ("ready".into(), "failed".into()));
    assert!(!answer.text().contains("db7"), "{}", answer.text());
}
