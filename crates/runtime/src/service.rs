//! A service: something that starts, says that it is ready, and comes to its end when asked.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use burgeon_core::Result;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Health, Tasks};

/// A named future and what it starts after.
///
/// ```
/// use burgeon_runtime::{Life, Service};
///
/// let clock = Service::new("clock", async |life: Life| {
///     // open what it needs; an error here says why the process cannot start
///     life.ready();
///     life.draining().await;
///     Ok(())
/// })
/// .after(["database"]);
/// ```
pub struct Service {
    pub(crate) name: Cow<'static, str>,
    pub(crate) after: Vec<Cow<'static, str>>,
    pub(crate) run: Run,
}

pub(crate) type Run = Box<dyn FnOnce(Life) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send>;

/// What a service knows of its own life. Cloning shares it.
#[derive(Clone)]
pub struct Life(Arc<Inner>);

struct Inner {
    name: Cow<'static, str>,
    // Dropped unsaid means it failed to start.
    ready: watch::Sender<bool>,
    draining: watch::Receiver<Option<Instant>>,
    tasks: Tasks,
    health: Health,
}

impl Service {
    /// A service. `run` starts it, calls [`Life::ready`], works until [`Life::draining`] resolves, brings what it has
    /// begun to an end, and returns. Returning earlier, with an error or without, stops the whole process.
    pub fn new<F, Fut>(name: impl Into<Cow<'static, str>>, run: F) -> Self
    where
        F: FnOnce(Life) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self { name: name.into(), after: Vec::new(), run: Box::new(move |life| Box::pin(run(life))) }
    }

    /// Names the services that must be ready before this one starts, and that stop after it.
    #[must_use]
    pub fn after<N: Into<Cow<'static, str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

impl Life {
    pub(crate) fn new(
        name: Cow<'static, str>,
        ready: watch::Sender<bool>,
        draining: watch::Receiver<Option<Instant>>,
        tasks: Tasks,
        health: Health,
    ) -> Self {
        Self(Arc::new(Inner { name, ready, draining, tasks, health }))
    }

    /// Says that the service does its work from now on. Saying it twice is harmless.
    pub fn ready(&self) {
        self.0.ready.send_replace(true);
    }

    /// Resolves when the service is asked to come to its end. Cancel-safe.
    pub async fn draining(&self) {
        let mut draining = self.0.draining.clone();
        // An error means that the lifecycle is gone, and then the end has come as well.
        let _ = draining.wait_for(Option::is_some).await;
    }

    /// Whether it has been asked.
    pub fn is_draining(&self) -> bool {
        self.0.draining.borrow().is_some() || self.0.draining.has_changed().is_err()
    }

    /// When the service is aborted if it has not come to its end; `None` before draining.
    pub fn drain_deadline(&self) -> Option<Instant> {
        *self.0.draining.borrow()
    }

    /// The owner of this service's tasks. They are stopped after the service has returned, within the same deadline;
    /// their [`stopping`](Tasks::stopping) is raised then.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// The health of the process, to add checks and parts to.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("name", &self.0.name).finish_non_exhaustive()
    }
}
