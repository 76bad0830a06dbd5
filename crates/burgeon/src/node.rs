//! A running application inside this process.

use std::net::SocketAddr;
use std::sync::Arc;

use burgeon_core::{Cancel, CancelGuard, Result};
use burgeon_db::Db;
use burgeon_http::Edge;
use burgeon_meter::Meters;
use burgeon_runtime::{Health, Task, Tasks};

use crate::compose::{Serving, compose};
use crate::config::Configuration;
use crate::services::Ports;
use crate::settings::Settings;
use crate::together::Standing;
use tokio::sync::oneshot;

use crate::{App, Environment, StartError};

/// An application that serves, in this process: made by [`App::start`]. Several may live beside each other.
///
/// [`stop`](Self::stop) ends it in order. Dropped, it is aborted.
pub struct Node {
    db: Db,
    edge: Edge,
    health: Health,
    configuration: Arc<Configuration>,
    ports: Arc<Ports>,
    stop: CancelGuard,
    ended: Task<Result<()>>,
    // Owns the task that is the application; dropped, it aborts it.
    owner: Tasks,
}

/// Starts the application and waits until it is ready.
pub(crate) async fn start(mut app: App, environment: &Environment) -> Result<Node, StartError> {
    let settings = Settings::load(&mut app, environment, None)?;
    let mut composed = compose(app, settings, Standing::Serves).await?;
    composed.prepare_to_serve().await?;
    let Serving { name, configuration, lifecycle, health, db, edge, ports } = composed.serve(None);
    let (stop, stopping) = Cancel::new();
    let owner = Tasks::new(&Meters::new());
    let (tell, mut ready) = oneshot::channel();
    let told = move || {
        // Nobody listens any more only when the start was given up.
        let _ = tell.send(());
    };
    let run = lifecycle.when_ready(told).run(async move { stopping.cancelled().await });
    let mut ended = owner.spawn(format!("application {name}"), run);
    tokio::select! {
        biased;
        Ok(()) = &mut ready => Ok(Node { db, edge, health, configuration, ports, stop, ended, owner }),
        died = &mut ended => Err(match died.flatten() {
            Err(error) => StartError::because(format!("{name} did not start"), error),
            Ok(()) => StartError::new(format!("{name} ended while it started")),
        }),
    }
}

impl Node {
    /// Its database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What answers its requests, for calls without a socket.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.ports.http.get().copied()
    }

    /// Where its probes and metrics are; none when `admin.enabled` is off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.ports.admin.get().copied()
    }

    /// What its probes say.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The configuration it was started with.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Drains and stops it, as SIGTERM would.
    ///
    /// # Errors
    /// What did not stop in time or failed while stopping.
    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        let result = self.ended.await.flatten();
        drop(self.owner);
        result
    }
}
