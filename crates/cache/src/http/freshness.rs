//! Whether what is kept may be used now: RFC 9111, 4.2, and RFC 5861. Pure.

use super::directives::Directives;
use super::kept::{Kept, Strict};

/// What the store knows of an entry beside its own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing else.
    Sound,
    /// It was expired before its time, by a soft purge.
    Expired,
    /// It may have been purged by somebody who was not heard.
    InDoubt,
    /// The latest attempt to fetch a new one failed a moment ago.
    JustFailed,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Serve it: fresh, or stale on the client's own wish.
    Serve,
    /// Serve it, and fetch a new one behind it.
    ServeAndFetch,
    /// Serve it, because there is nothing better to be had for the moment.
    ServeAfterFailure,
    /// It is stale: ask the handler first.
    Stale,
    /// It is fresh, and the request does not want it.
    Refused,
}

/// Whether it is fresh now.
pub(super) fn is_fresh(kept: &Kept, state: State, now: u64) -> bool {
    !matches!(state, State::Expired | State::InDoubt) && kept.age(now) < kept.lifetime
}

/// What to do for a request that says this.
pub(super) fn judge(kept: &Kept, state: State, now: u64, asked: &Directives) -> Use {
    let age = kept.age(now);
    let fresh = is_fresh(kept, state, now) && !kept.always_ask;
    let not_as_it_is = if fresh { Use::Refused } else { Use::Stale };
    if asked.no_cache.is_some()
        || asked.max_age.is_some_and(|most| age > millis(most) || most == 0)
        || asked.min_fresh.is_some_and(|least| kept.lifetime.saturating_sub(age) < millis(least))
    {
        return not_as_it_is;
    }
    if fresh {
        return Use::Serve;
    }
    if kept.always_ask || kept.strict == Strict::Never {
        return Use::Stale;
    }
    if state == State::JustFailed && may_stand_in(kept, now) {
        return Use::ServeAfterFailure;
    }
    // A soft purge lets it be served once more; what is in doubt may have been purged for good.
    if state == State::InDoubt {
        return Use::Stale;
    }
    // Who says how old it may be, and not how stale, wants none that is (5.2.1.1).
    let wants_fresh = asked.max_age.is_some() && asked.max_stale.is_none();
    if kept.behind > 0 && !wants_fresh && age < kept.lifetime.saturating_add(kept.behind) {
        return Use::ServeAndFetch;
    }
    let late = age.saturating_sub(kept.lifetime);
    let accepted = match asked.max_stale {
        None => false,
        Some(None) => true,
        Some(Some(most)) => late <= millis(most),
    };
    match accepted && kept.strict == Strict::No && state == State::Sound {
        true => Use::Serve,
        false => Use::Stale,
    }
}

/// Whether it may be served instead of a failure.
pub(super) fn may_stand_in(kept: &Kept, now: u64) -> bool {
    !kept.always_ask
        && kept.if_error > 0
        && kept.strict != Strict::Never
        && kept.age(now) < kept.lifetime.saturating_add(kept.if_error)
}

pub(super) fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}
