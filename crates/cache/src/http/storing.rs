//! Whether a response may be kept, and for how long: RFC 9111, 3 and 4.2.1. Pure.

use std::time::{Duration, Instant};

use burgeon_core::Deadline;
use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED, SET_COOKIE, VARY};
use http::response::Parts;
use http::{HeaderName, StatusCode};

use super::config::Config;
use super::directives::{self, Directives, Of};
use super::freshness::millis;
use super::kept::{Shared, Strict};
use super::wall;

/// Why a response is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It says `no-store`.
    NoStore,
    /// It says `private`.
    Private,
    /// It sets a cookie.
    SetCookie,
    /// The request had cookies, and it does not say that others may have it.
    Cookie,
    /// The request had credentials, and it does not say that others may have it.
    Authorization,
    /// It says nothing that would let it be used again.
    NoLifetime,
    /// It is a part, or has a status whose rules are not known here.
    Status,
    /// It differs by everything, or by who asks.
    Vary,
    /// Its body is larger than `body_limit`.
    TooLarge,
    /// Its body did not come whole, in time.
    Incomplete,
    /// Its key is longer than keys may be.
    Key,
    /// The request says `no-store`.
    Request,
}

impl Why {
    /// As `Cache-Status` tells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Why::NoStore => "no-store",
            Why::Private => "private",
            Why::SetCookie => "set-cookie",
            Why::Cookie => "cookie",
            Why::Authorization => "authorization",
            Why::NoLifetime => "no-lifetime",
            Why::Status => "status",
            Why::Vary => "vary",
            Why::TooLarge => "too-large",
            Why::Incomplete => "incomplete",
            Why::Key => "long-key",
            Why::Request => "request-no-store",
        }
    }

    /// Whether another request for the same address might be answered with something to keep.
    pub(super) fn is_of_this_request(self) -> bool {
        self.is_of_who_asked() || matches!(self, Why::Key | Why::Request | Why::Incomplete)
    }

    /// Whether somebody else's request might.
    pub(super) fn is_of_who_asked(self) -> bool {
        matches!(self, Why::Cookie | Why::Authorization)
    }
}

/// What may be kept, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) said: Directives,
    pub(super) initial_age: u64,
    pub(super) lifetime: u64,
    pub(super) behind: u64,
    pub(super) if_error: u64,
    pub(super) always_ask: bool,
    pub(super) strict: Strict,
    pub(super) shared: Shared,
    /// What it differs by, in order.
    pub(super) vary: Vec<HeaderName>,
    /// When it is to be made anew, because something stale is in it.
    pub(super) stale_until: Option<Deadline>,
}

impl Terms {
    /// The response was made of something stale, to be asked for again then: it is as old as makes it stale by that time, which caches
    /// further on hear by its `Age`.
    pub(super) fn made_of_stale(&mut self, until: Deadline, now: Instant) {
        let left = u64::try_from(until.remaining(now).as_millis()).unwrap_or(u64::MAX);
        self.initial_age = self.initial_age.max(self.lifetime.saturating_sub(left));
        self.stale_until = Some(until);
    }
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Whose {
    pub(super) cookies: bool,
    pub(super) authorized: bool,
}

/// The verdict on a response that took `delay` to come, at `now` by the calendar.
pub(super) fn terms(
    config: &Config,
    whose: Whose,
    response: &Parts,
    now: i64,
    delay: Duration,
) -> Result<Terms, Why> {
    let headers = &response.headers;
    let (said, targeted) = Directives::of_response(headers);
    let status = response.status;
    if status.is_informational()
        || matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
        || (said.must_understand && !is_understood(status))
    {
        return Err(Why::Status);
    }
    // `must-understand` goes with `no-store`, for caches that do not know it (5.2.2.3).
    if said.no_store && !said.must_understand {
        return Err(Why::NoStore);
    }
    if said.private == Some(Of::Everything) {
        return Err(Why::Private);
    }
    let limited = |to: &HeaderName| {
        [&said.private, &said.no_cache]
            .into_iter()
            .any(|of| matches!(of, Some(Of::Fields(names)) if names.contains(to)))
    };
    if headers.contains_key(SET_COOKIE) && !limited(&SET_COOKIE) {
        return Err(Why::SetCookie);
    }
    let with_cookies = said.public || said.s_maxage.is_some();
    let shared = Shared { with_cookies, authorized: with_cookies || said.must_revalidate };
    if whose.authorized && !shared.authorized {
        return Err(Why::Authorization);
    }
    if whose.cookies && !shared.with_cookies {
        return Err(Why::Cookie);
    }
    let vary = vary(response)?;

    let date = headers.get(DATE).and_then(wall::parse);
    let explicit = said.s_maxage.or(said.max_age).or_else(|| {
        let expires = headers.get(EXPIRES).filter(|_| !targeted)?;
        // A date that cannot be read, above all `0`, has passed (5.3).
        Some(wall::parse(expires).map_or(0, |at| seconds(at - date.unwrap_or(now))))
    });
    let heuristic = || {
        let modified = headers.get(LAST_MODIFIED).and_then(wall::parse)?;
        let known = is_heuristically_kept(status) || said.public;
        let part = seconds(date.unwrap_or(now) - modified) as f64 * config.heuristic;
        (known && config.heuristic > 0.0).then_some((part as u64).min(24 * 60 * 60))
    };
    let lifetime = explicit.or_else(heuristic).unwrap_or(0);
    let always_ask = said.no_cache == Some(Of::Everything);
    let behind = said.stale_while_revalidate.map_or(config.stale_while_revalidate, Duration::from_secs);
    let if_error = said.stale_if_error.map_or(config.stale_if_error, Duration::from_secs);
    let can_be_confirmed = headers.contains_key(http::header::ETAG) || headers.contains_key(LAST_MODIFIED);
    // What only says that it must be confirmed is kept where nobody need say that it may be (RFC 9111, 3).
    let may_be_kept = explicit.is_some() || said.public || (always_ask && is_heuristically_kept(status));
    let is_of_use = (lifetime > 0 && !always_ask) || !behind.is_zero() || !if_error.is_zero();
    if !(is_of_use && (may_be_kept || lifetime > 0) || can_be_confirmed && may_be_kept) {
        return Err(Why::NoLifetime);
    }

    let apparent = date.map_or(0, |date| millis(seconds(now - date)));
    // Of several the first; what is no number is not there (5.1).
    let age =
        headers.get(AGE).and_then(|age| directives::seconds(age.to_str().ok()?.split(',').next()?.trim()));
    let age = age.unwrap_or(0);
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let strict = match () {
        () if said.must_revalidate || said.proxy_revalidate => Strict::Never,
        () if said.s_maxage.is_some() => Strict::UnlessItSaysSo,
        () => Strict::No,
    };
    // What the configuration allows is not what the response says.
    let own = |said: Option<u64>, value: Duration| match (strict, said) {
        (Strict::UnlessItSaysSo, None) => 0,
        _ => u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Terms {
        initial_age: apparent.max(millis(age).saturating_add(delay)),
        lifetime: millis(lifetime),
        behind: own(said.stale_while_revalidate, behind),
        if_error: own(said.stale_if_error, if_error),
        always_ask,
        strict,
        shared,
        vary,
        stale_until: None,
        said,
    })
}

/// What it differs by. By everything, or by who asks, is by too much.
fn vary(response: &Parts) -> Result<Vec<HeaderName>, Why> {
    let mut names = Vec::new();
    for list in response.headers.get_all(VARY) {
        let list = list.to_str().map_err(|_| Why::Vary)?;
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name: HeaderName = name.parse().map_err(|_| Why::Vary)?;
            if name == "*" || [http::header::COOKIE, http::header::AUTHORIZATION].contains(&name) {
                return Err(Why::Vary);
            }
            names.push(name);
        }
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Ok(names)
}

fn seconds(difference: i64) -> u64 {
    u64::try_from(difference).unwrap_or(0)
}

/// Those whose rules are followed here: everything of RFC 9110 that a cache has nothing special to do for.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 400..=405 | 410 | 414 | 421 | 451 | 500..=504
    )
}

/// Those that may be kept though nobody said for how long (RFC 9110, 15.1).
fn is_heuristically_kept(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}
