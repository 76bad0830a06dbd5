//! The services of an application: what starts, becomes ready, drains and stops.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use burgeon_core::Ctx;
use burgeon_db::{Claim, Db};
use burgeon_http::{Config, Edge, Server};
use burgeon_runtime::{Life, Service};

use crate::admin::{self, Observed};
use crate::warm_up;

/// Where the servers listen, known once they do.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) http: OnceLock<SocketAddr>,
    pub(crate) admin: OnceLock<SocketAddr>,
}

/// The database: already open, asked by the probes, closed when everything else has ended.
pub(crate) fn database(db: Db, claim: Option<Claim>) -> Service {
    Service::new("database", async move |life: Life| {
        let asked = db.clone();
        life.health().check("database", move || {
            let db = asked.clone();
            async move { db.health(&Ctx::background()).await }
        });
        let looked_at = db.clone();
        life.health().condition("database replicas", move || looked_at.condition());
        life.ready();
        life.draining().await;
        db.close().await;
        // The next process may have it.
        drop(claim);
        Ok(())
    })
}

/// Probes with their reasons, meters and the log's level, on a port that is not the public's.
pub(crate) fn admin(config: admin::Config, observed: Observed, ports: Arc<Ports>) -> Service {
    Service::new("admin", async move |life: Life| {
        if !config.enabled {
            life.ready();
            life.draining().await;
            return Ok(());
        }
        let server = Server::bind_section("admin", &config.listener())?;
        let edge = admin::edge(&config, observed)?;
        // Set once: a service starts once.
        let _ = ports.admin.set(server.address());
        server.run(edge, life).await
    })
    .after(["database"])
}

/// The application itself.
pub(crate) fn http(config: Config, edge: Edge, ports: Arc<Ports>) -> Service {
    Service::new("http", async move |life: Life| {
        let server = Server::bind(&config)?;
        let _ = ports.http.set(server.address());
        server.run(edge, life).await
    })
    .after(["database", "admin", "cluster", warm_up::NAME])
}
