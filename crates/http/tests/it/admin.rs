//! What administrators may ask.

use burgeon_core::Error;
use burgeon_http::{Body, Door, Mounts, admin, header};
use burgeon_meter::Meters;
use burgeon_runtime::Health;
use burgeon_telemetry::{Config, Sink, dispatch, prometheus};

use crate::client::Client;

#[tokio::test]
async fn administrators_see_meters_the_log_level_and_reasons() {
    let meters = Meters::new();
    meters.counter("orders_total", "Orders.", &[]).add(7);
    let health = Health::new();
    health.check("database", async || Err(Error::unavailable("away").with_source("host=db7 refused")));
    let (_log, level) = dispatch(&Config::default(), &Sink::to(std::io::sink()).unwrap()).unwrap();
    let routes = admin(&health, &level, move || prometheus::render(&meters));
    let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
    let mut client = Client::new(&router);

    let answer = client.get("/metrics").await;
    assert!(answer.text().contains("orders_total 7"), "{}", answer.text());
    assert_eq!(answer.header(header::CONTENT_TYPE), prometheus::CONTENT_TYPE);
    let answer = client.get("/readyz").await;
    assert!(answer.status == 503 && answer.text().contains("db7"), "{}", answer.text());

    let put = |level: &'static str| {
        http::Request::builder().method("PUT").uri("/log").body(Body::from(level)).unwrap()
    };
    let before = client.get("/log").await.text().to_owned();
    let answer = client.send(put("warn,burgeon_db=debug\n")).await;
    assert_eq!((answer.status, answer.text()), (200, "warn,burgeon_db=debug"));
    assert_eq!(client.get("/log").await.text(), "warn,burgeon_db=debug");
    let answer = client.send(put("loud")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(client.get("/log").await.text(), "warn,burgeon_db=debug");
    assert_ne!(before, "warn,burgeon_db=debug");
}
