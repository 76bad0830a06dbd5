//! Which events are logged: a small language, changeable at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use burgeon_core::{Error, Result};
use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;

/// A level, and exceptions by target: `info,burgeon_db=debug,hyper=off`.
///
/// An exception holds for a target and all below it (`burgeon_db` for `burgeon_db::pool`, not for `burgeon_dbx`); the
/// longest one wins. Without a bare level, everything else is logged at `info`.
///
/// ```
/// let filter: burgeon_telemetry::Filter = "warn,burgeon_db=debug".parse()?;
/// assert_eq!(filter.to_string(), "warn,burgeon_db=debug");
/// assert!("verbose".parse::<burgeon_telemetry::Filter>().unwrap_err().contains("debug"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    rest: LevelFilter,
    // The longest target first.
    targets: Vec<(String, LevelFilter)>,
}

/// Reads and changes what a running process logs. Cloning shares it.
#[derive(Clone)]
pub struct LogLevel(Option<Arc<RwLock<Filter>>>);

impl Filter {
    /// The level up to which events of a target are logged.
    pub(crate) fn level_of(&self, target: &str) -> LevelFilter {
        let covers = |prefix: &str| {
            target.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.targets.iter().find(|(prefix, _)| covers(prefix)).map_or(self.rest, |(_, level)| *level)
    }

    pub(crate) fn wants(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level_of(metadata.target())
    }

    pub(crate) fn most(&self) -> LevelFilter {
        self.targets.iter().map(|(_, level)| *level).fold(self.rest, Ord::max)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = None;
        let mut targets: Vec<(String, LevelFilter)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((target, name)) = part.split_once('=') else {
                if rest.replace(level(part)?).is_some() {
                    return Err(format!("`{text}` names two levels for everything; keep one"));
                }
                continue;
            };
            let (target, level) = (target.trim(), level(name.trim())?);
            let odd = |character: char| {
                !(character.is_alphanumeric() || matches!(character, '_' | ':' | '-' | '.'))
            };
            if target.is_empty() || target.contains(odd) {
                return Err(format!(
                    "`{target}` is not a target; write the beginning of one: `burgeon_db=debug`"
                ));
            }
            targets.retain(|(known, _)| known != target);
            targets.push((target.to_owned(), level));
        }
        if rest.is_none() && targets.is_empty() {
            return Err(format!("it is empty; write {LEVELS}"));
        }
        targets.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        Ok(Self { rest: rest.unwrap_or(LevelFilter::INFO), targets })
    }
}

const LEVELS: &str = "error, warn, info, debug, trace or off";

fn level(name: &str) -> Result<LevelFilter, String> {
    // `LevelFilter` would also take numbers and upper case; one way to write a thing is enough.
    match name {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        "off" => Ok(LevelFilter::OFF),
        _ => Err(format!("`{name}` is not a level; write {LEVELS}")),
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rest)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

impl LogLevel {
    pub(crate) fn ours(filter: Arc<RwLock<Filter>>) -> Self {
        Self(Some(filter))
    }

    /// Of a process whose log belongs to somebody else.
    pub fn foreign() -> Self {
        Self(None)
    }

    /// What is logged now, as [`set`](Self::set) takes it; `None` when the log belongs to somebody else.
    pub fn get(&self) -> Option<String> {
        self.0.as_ref().map(|filter| filter.read().unwrap_or_else(PoisonError::into_inner).to_string())
    }

    /// Logs this from now on, everywhere in the process, until it ends.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the text is not a [`Filter`], and
    /// [`Kind::Conflict`](burgeon_core::Kind::Conflict) when the log belongs to somebody else.
    pub fn set(&self, text: &str) -> Result<()> {
        let filter: Filter = text.parse().map_err(Error::invalid)?;
        let Some(shared) = &self.0 else {
            return Err(Error::conflict(
                "The log of this process belongs to another subscriber; change it there.",
            ));
        };
        *shared.write().unwrap_or_else(PoisonError::into_inner) = filter;
        // Every place that logs has cached whether anybody wants to hear of it.
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_wins_and_ends_at_a_path_segment() {
        let filter: Filter = "warn,burgeon=info,burgeon_db=debug,burgeon_db::pool=off".parse().unwrap();
        for (target, level) in [
            ("hyper::proto", LevelFilter::WARN),
            ("burgeon", LevelFilter::INFO),
            ("burgeon::app", LevelFilter::INFO),
            ("burgeon_db", LevelFilter::DEBUG),
            ("burgeon_db::statement", LevelFilter::DEBUG),
            ("burgeon_db::pool", LevelFilter::OFF),
            ("burgeon_dbx", LevelFilter::WARN),
        ] {
            assert_eq!(filter.level_of(target), level, "{target}");
        }
        assert_eq!(filter.most(), LevelFilter::DEBUG);
    }

    #[test]
    fn a_filter_survives_its_text() {
        for text in ["info", "off", "warn,burgeon_db::pool=off,burgeon_db=debug"] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
        assert_eq!(" burgeon_db = debug ,".parse::<Filter>().unwrap().to_string(), "info,burgeon_db=debug");
        assert_eq!("a=info,a=debug".parse::<Filter>().unwrap().to_string(), "info,a=debug");
    }

    #[test]
    fn what_is_not_a_filter_is_refused_with_what_would_be() {
        for (text, why) in [
            ("verbose", "`verbose` is not a level; write error, warn, info"),
            ("burgeon_db=loud", "`loud` is not a level"),
            ("info,debug", "two levels"),
            ("", "it is empty"),
            ("=debug", "is not a target"),
            ("a b=debug", "is not a target"),
            ("INFO", "is not a level"),
        ] {
            let refused = text.parse::<Filter>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
