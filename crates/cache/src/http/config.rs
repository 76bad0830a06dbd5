//! What one response cache does where responses do not say it themselves.

use std::time::Duration;

use burgeon_core::units::Size;
use http::HeaderName;

/// Settings of a [`Responses`](super::Responses). The defaults keep only what a response allows in so many words.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Who says `Cache-Status`: a token. `burgeon`.
    pub name: String,
    /// The most memory for everything kept. 64 MiB. Beyond, the least useful leave.
    pub size: Size,
    /// The largest body that is kept. 1 MiB. What is larger streams through, and is not waited for.
    pub body_limit: Size,
    /// How long the handler may take to bring the whole body of a response that is to be kept. 1 s. Then it streams through.
    pub body_patience: Duration,
    /// How long a response is kept beyond its freshness: to be confirmed by a 304, and for `stale-while-revalidate` and
    /// `stale-if-error`, which cannot reach further. 1 day.
    pub keep: Duration,
    /// The longest that a handler may take for a response that others may wait for. 10 s.
    pub load_timeout: Duration,
    /// Serve a stale response at once, with one load behind it, for so long, where the response does not say. Zero.
    pub stale_while_revalidate: Duration,
    /// Serve a stale response instead of a failure (500, 502, 503, 504, a panic, no answer in time) for so long, where the
    /// response does not say. Zero.
    pub stale_if_error: Duration,
    /// Which part of the time since `Last-Modified` a response without any lifetime is fresh, at most a day; RFC 9111, 4.2.2,
    /// suggests 0.1. Zero is off: who wants to be kept says how long.
    pub heuristic: f64,
    /// For how long an address that answers with what may not be shared is not waited for in line any more
    /// ("hit for miss"). 2 minutes; ends early when it answers with something that may be kept.
    pub pass: Duration,
    /// How many variants of one address are kept, by what `Vary` names. 16; the oldest leaves.
    pub variants: usize,
    /// Whether the order of a query's parameters means nothing. Yes: `?a=1&b=2` is `?b=2&a=1`. Those of one name keep theirs.
    pub sort_query: bool,
    /// Parameters of the query that mean nothing to the handlers, such as `utm_*` (a star ends a name). None. A handler
    /// that writes one of them into its page would show one visitor's to another.
    pub ignored_parameters: Vec<String>,
    /// Cookies that make nobody a person: consent, experiments, the position in the database's log. `position` and
    /// `__Host-position`, which are the edge's. A request with any other cookie gets, and leaves, only what says
    /// `public` or `s-maxage`.
    pub harmless_cookies: Vec<String>,
    /// Take `Cookie` and `Authorization` off the requests before the handler sees them. No. With it a page cannot be personal,
    /// so all visitors share it, signed in or not.
    pub anonymous: bool,
    /// Which of a response's tag fields (`surrogate-key`, `cache-tag`) go out to a cache in front. None: they tell what
    /// the application is made of.
    pub shown_tags: Vec<HeaderName>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "burgeon".to_owned(),
            size: Size::mib(64),
            body_limit: Size::mib(1),
            body_patience: Duration::from_secs(1),
            keep: Duration::from_secs(24 * 60 * 60),
            load_timeout: Duration::from_secs(10),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            heuristic: 0.0,
            pass: Duration::from_secs(120),
            variants: 16,
            sort_query: true,
            ignored_parameters: Vec::new(),
            harmless_cookies: vec!["position".to_owned(), "__Host-position".to_owned()],
            anonymous: false,
            shown_tags: Vec::new(),
        }
    }
}

impl Config {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
        let begins = self.name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !begins || !self.name.bytes().all(token) {
            return Err(format!(
                "`name` is `{}`; it begins with a letter and has no spaces or quotes, because it stands in `Cache-Status`",
                self.name
            ));
        }
        for (name, value) in
            [("keep", self.keep), ("load_timeout", self.load_timeout), ("body_patience", self.body_patience)]
        {
            if value.is_zero() {
                return Err(format!("`{name}` must be longer than zero"));
            }
        }
        if !(0.0..=1.0).contains(&self.heuristic) {
            return Err("`heuristic` is a part between 0 and 1; 0 is off".to_owned());
        }
        if self.variants == 0 {
            return Err("`variants` must be at least 1".to_owned());
        }
        if self.body_limit > self.size {
            return Err("`body_limit` must not exceed `size`, which everything kept shares".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_each_mistake_is_named() {
        Config::default().validate().unwrap();
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(refused(|config| config.name = "my cache".into()).contains("`name`"));
        assert!(refused(|config| config.name = String::new()).contains("`name`"));
        assert!(refused(|config| config.keep = Duration::ZERO).contains("`keep`"));
        assert!(refused(|config| config.heuristic = 2.0).contains("`heuristic`"));
        assert!(refused(|config| config.variants = 0).contains("`variants`"));
        assert!(refused(|config| config.body_limit = Size::mib(65)).contains("`body_limit`"));
    }
}
