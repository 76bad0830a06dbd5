//! What is logged, and how it looks.

use serde::{Deserialize, Serialize};

use crate::Filter;

/// Options of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which events are logged: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), and exceptions by the
    /// beginning of the target: `info,burgeon_db=debug,hyper=off`. Default `info`. It can be changed while the
    /// process runs, until the next start ([`LogLevel`](crate::LogLevel)).
    pub level: String,

    /// How a line looks. Default `auto`.
    pub format: Format,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people; coloured on a terminal.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Auto }
    }
}

impl Config {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        self.level.parse::<Filter>().map(drop).map_err(|why| format!("`level`: {why}"))
    }
}
