//! The services of an application: what starts, becomes ready, drains and stops.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use burgeon_core::{Ctx, Result};
use burgeon_db::Db;
use burgeon_http::{Body, Config, Door, Mounts, Server, probes_with_reasons};
use burgeon_runtime::{Life, Service};
use tokio::time::Instant;

use crate::{Edge, admin};

/// Where the servers listen, known once they do.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) http: OnceLock<SocketAddr>,
    pub(crate) admin: OnceLock<SocketAddr>,
}

/// The database: already open, asked by the probes, closed when everything else has ended.
pub(crate) fn database(db: Db) -> Service {
    Service::new("database", async move |life: Life| {
        let asked = db.clone();
        life.health().check("database", move || {
            let db = asked.clone();
            async move { db.health(&Ctx::background()).await }
        });
        life.ready();
        life.draining().await;
        db.close().await;
        Ok(())
    })
}

/// Probes with their reasons, on a port that is not the public's.
pub(crate) fn admin(config: admin::Config, ports: Arc<Ports>) -> Service {
    Service::new("admin", async move |life: Life| {
        if !config.enabled {
            life.ready();
            life.draining().await;
            return Ok(());
        }
        let server = Server::bind(&config.listener())?;
        let _ = ports.admin.set(server.address());
        let router = Mounts::new().mount("/", probes_with_reasons(life.health())).router(Door::new())?;
        let edge = Edge::new(router, &Config::default());
        serve(server, edge, &life).await
    })
    .after(["database"])
}

/// The application itself.
pub(crate) fn http(config: Config, edge: Edge, ports: Arc<Ports>) -> Service {
    Service::new("http", async move |life: Life| {
        let server = Server::bind(&config)?;
        let _ = ports.http.set(server.address());
        serve(server, edge, &life).await
    })
    .after(["database", "admin"])
}

async fn serve(server: Server, edge: Edge, life: &Life) -> Result<()> {
    let drain = async {
        // First polled when every core accepts connections: now it is true that it serves.
        life.ready();
        life.draining().await;
        life.drain_deadline().unwrap_or_else(Instant::now)
    };
    let handler = move |request: http::Request<_>, _connection: &_| {
        let edge = edge.clone();
        async move { edge.answer(request.map(Body::new)).await }
    };
    server.serve(handler, life.tasks(), drain).await
}
