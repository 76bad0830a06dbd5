//! Values that stay with a visitor: a signed cookie.
//!
//! What this is: a few small values (who is signed in, the basket's id, the language) in the visitor's own cookie, so
//! any node can serve the next request. What it is not: secret (it is signed, not encrypted), large (3 KiB), or
//! revocable: whoever must sign users out at once keeps a row and puts its key here.
//!
//! # Invariants
//! - A session that was changed, expired or signed by others is an empty session, never an error.
//! - It lives 14 days from its last renewal and is renewed when half of that has passed.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Result};

use crate::cookies::{Cookie, Jar, own_name};
use crate::door::Door;
use crate::extract::{Extract, Head};
use crate::keys::Keys;

const NAME: &str = "session";
const PURPOSE: &str = "session";
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Browsers keep at least 4,096 bytes for a cookie with its attributes.
const MOST_BYTES: usize = 3 * 1024;
/// Where the secret of this session's form tokens is kept. An application's own keys do not begin with a colon.
const FORM_SECRET: &str = ":form";

/// A visitor's values. Cloning shares them; changes are saved with the response.
#[derive(Debug, Clone)]
pub struct Session {
    jar: Jar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    values: BTreeMap<String, serde_json::Value>,
    changed: bool,
    was_sent: bool,
}

impl Session {
    /// A value, if there is one of this name and type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.with(|state| state.values.get(key).cloned()).and_then(|value| serde_json::from_value(value).ok())
    }

    /// Keeps a value.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) when it cannot be serialised.
    pub fn set(&self, key: &str, value: impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value).map_err(Error::internal)?;
        self.with(|state| {
            if state.values.get(key) != Some(&value) {
                state.values.insert(key.to_owned(), value);
                state.changed = true;
            }
        });
        Ok(())
    }

    /// Forgets a value.
    pub fn remove(&self, key: &str) {
        self.with(|state| state.changed |= state.values.remove(key).is_some());
    }

    /// Forgets everything: signing out.
    pub fn clear(&self) {
        self.with(|state| {
            state.values.clear();
            state.changed = true;
        });
    }

    /// Makes form tokens given out so far worthless. Call it when somebody signs in.
    pub fn renew(&self) {
        self.remove(FORM_SECRET);
    }

    /// The secret that this session's form tokens are derived from, made when first asked for.
    pub(crate) fn form_secret(&self) -> Result<Vec<u8>> {
        if let Some(secret) = self.known_form_secret() {
            return Ok(secret);
        }
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
        self.set(FORM_SECRET, URL_SAFE_NO_PAD.encode(secret))?;
        Ok(secret.to_vec())
    }

    pub(crate) fn known_form_secret(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.get::<String>(FORM_SECRET)?).ok()
    }

    pub(crate) fn of(head: &mut Head) -> Result<Self> {
        let secure = head.is_secure();
        let jar = head.jar();
        if jar.lock().session.is_none() {
            let state = load(&jar, keys(head.door())?, secure);
            jar.lock().session = Some(state);
        }
        Ok(Self { jar })
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(self.jar.lock().session.get_or_insert_default())
    }
}

impl<S: Sync> Extract<S> for Session {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        Self::of(head)
    }
}

pub(crate) fn keys(door: &Door) -> Result<&Keys> {
    door.keys().ok_or_else(|| {
        Error::internal(
            "sessions, flash messages and form tokens need signing keys: give the edge its `Keys`",
        )
    })
}

fn load(jar: &Jar, keys: &Keys, secure: bool) -> State {
    let Some(sealed) = jar.get(&own_name(NAME, secure)) else { return State::default() };
    let opened = keys.open_with_expiry(PURPOSE, &sealed);
    let values = opened
        .as_ref()
        .and_then(|(content, expires)| Some((serde_json::from_slice(content).ok()?, *expires)));
    let Some((values, expires)) = values else { return State { was_sent: true, ..State::default() } };
    let left = expires.saturating_sub(keys.now().as_second());
    State { values, changed: left < LIFETIME.as_secs() as i64 / 2, was_sent: true }
}

pub(super) fn save(jar: &Jar, door: &Door, secure: bool) -> Result<()> {
    let content = {
        let contents = jar.lock();
        match &contents.session {
            Some(state) if state.changed && state.values.is_empty() => {
                if !state.was_sent {
                    return Ok(());
                }
                None
            }
            Some(state) if state.changed => Some(serde_json::to_vec(&state.values).map_err(Error::internal)?),
            _ => return Ok(()),
        }
    };
    let name = own_name(NAME, secure);
    let cookie = match content {
        None => Cookie::new(name, "").with_max_age(Duration::ZERO),
        Some(content) => {
            let sealed = keys(door)?.seal(PURPOSE, &content, LIFETIME)?;
            if sealed.len() > MOST_BYTES {
                let sentence = format!(
                    "the session has {} bytes, more than the {MOST_BYTES} that fit a cookie: keep a row and its key",
                    sealed.len()
                );
                return Err(Error::internal(sentence));
            }
            Cookie::new(name, sealed).with_max_age(LIFETIME)
        }
    };
    jar.set(&cookie, secure)
}
