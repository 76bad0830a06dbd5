//! The sections that every application has, and the roof's own.

use std::path::Path;
use std::time::Duration;

use burgeon_core::units;
use serde::{Deserialize, Serialize};

use crate::app::Give;
use crate::brokers::{self, Brokers};
use crate::config::{Configuration, Section, Source, load};
use crate::{App, Environment, StartError};

/// The `[app]` section: how the application starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether serving brings the database up to date first. Default `true`: several nodes may start at once, one
    /// migrates and the others wait. Turned off, a node whose database is behind refuses to start; then `migrate` is a
    /// step of the deployment.
    pub migrate: bool,
    /// Whether the modules' first starts run. Default `true`. They run once for each database; turned off, not at all.
    pub first_start: bool,
    /// How long the start waits for a database that does not answer yet. Default `30s`: a database that is started
    /// together with the application needs some seconds. Then the start fails and says why.
    #[serde(with = "units::duration")]
    pub database_wait: Duration,
    /// How long the start waits for another node that migrates, or fills a new database. Default `10m`.
    #[serde(with = "units::duration")]
    pub turn_wait: Duration,
    /// How long the start waits for the modules' warm-ups, all together: what they read beforehand, so that the first visitors wait for
    /// nothing. Default `5s`; then the node serves without. 0 is off.
    #[serde(with = "units::duration")]
    pub warm_up_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            migrate: true,
            first_start: true,
            database_wait: Duration::from_secs(30),
            turn_wait: Duration::from_secs(600),
            warm_up_wait: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        match self.turn_wait.is_zero() {
            true => {
                Err("`turn_wait` is 0, so a second node could never start beside a first; write 10m"
                    .to_owned())
            }
            false => Ok(()),
        }
    }
}

/// The sections of the house.
pub(crate) struct Sections {
    pub(crate) app: Config,
    pub(crate) http: burgeon_http::Config,
    pub(crate) admin: crate::admin::Config,
    pub(crate) database: burgeon_db::Config,
    pub(crate) runtime: burgeon_runtime::Config,
    pub(crate) telemetry: burgeon_telemetry::Config,
    pub(crate) cluster: burgeon_cluster::Config,
    pub(crate) cache: burgeon_cache::Config,
    pub(crate) brokers: Brokers,
}

/// Everything the composition needs to know, read and checked.
pub(crate) struct Settings {
    pub(crate) sections: Sections,
    /// How the application's own sections become parts.
    pub(crate) gives: Vec<(String, Give)>,
    pub(crate) configuration: Configuration,
    /// What the machine is called.
    pub(crate) host: String,
}

/// The sections of the house, in the order in which they are explained.
pub(crate) fn house() -> Vec<Section> {
    let mut sections = vec![
        Section::new("app", Config::validate),
        Section::new("http", burgeon_http::Config::validate),
        Section::new("admin", crate::admin::Config::validate),
        Section::new("database", burgeon_db::Config::validate),
        Section::new("cluster", burgeon_cluster::Config::validate),
        Section::new("cache", burgeon_cache::Config::validate),
        Section::new("runtime", burgeon_runtime::Config::validate),
        Section::new("telemetry", burgeon_telemetry::Config::validate),
    ];
    sections.extend(brokers::sections());
    sections
}

impl Settings {
    /// Reads the configuration of this application.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn load(
        app: &mut App,
        environment: &Environment,
        file: Option<&Path>,
    ) -> Result<Self, StartError> {
        let mut sections = house();
        for (at, own) in app.sections.iter().enumerate() {
            let name = &own.section.name;
            let twice = app.sections[..at].iter().find(|other| other.section.name == *name);
            if let Some(other) = twice {
                return Err(StartError::new(format!(
                    "two sections of the configuration are called `{name}`"
                ))
                .and(format!("one at {}", other.place))
                .and(format!("one at {}", own.place)));
            }
            if sections.iter().any(|house| house.name == *name) {
                return Err(StartError::new(format!("the section `[{name}]` belongs to Burgeon")).and(
                    format!("the application declares it too, at {}; give it another name", own.place),
                ));
            }
        }
        let mut gives = Vec::new();
        for own in std::mem::take(&mut app.sections) {
            gives.push((own.section.name.clone(), own.give));
            sections.push(own.section);
        }
        let source = Source {
            environment,
            file,
            defaults: &[("database.url", format!("sqlite:{}.db", app.name))],
            renamed: &app.renamed,
        };
        let configuration = load(&sections, &source)?;
        let missing = |name: &str| StartError::new(format!("the section `[{name}]` was not read"));
        let sections = Sections {
            app: configuration.section("app").ok_or_else(|| missing("app"))?,
            http: configuration.section("http").ok_or_else(|| missing("http"))?,
            admin: configuration.section("admin").ok_or_else(|| missing("admin"))?,
            database: configuration.section("database").ok_or_else(|| missing("database"))?,
            runtime: configuration.section("runtime").ok_or_else(|| missing("runtime"))?,
            telemetry: configuration.section("telemetry").ok_or_else(|| missing("telemetry"))?,
            cluster: configuration.section("cluster").ok_or_else(|| missing("cluster"))?,
            cache: configuration.section("cache").ok_or_else(|| missing("cache"))?,
            brokers: Brokers::read(&configuration).ok_or_else(|| missing("redis` or `nats"))?,
        };
        Ok(Self { sections, gives, configuration, host: environment.host().to_owned() })
    }
}
