//! What cookies and form tokens are signed with.
//!
//! What this is: HMAC-SHA256 (RFC 2104) over a purpose, an expiry and a content, with keys that every node shares and
//! that are replaced in time. What it is not: encryption. Whoever holds a sealed value can read it, but not change it.
//!
//! # Invariants
//! - A value sealed for one purpose never opens for another.
//! - A value opens until its expiry, on every node, also while keys are replaced: a new key signs only after every node
//!   has had time to see it, and an old one verifies until the last value it could have signed has expired.
//! - A key is never printed.

mod ring;
mod table;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use burgeon_core::{Error, Result};

pub(crate) use ring::{Key, Ring};

/// The signing keys of an application. Cloning shares them.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    // Not a tokio lock: nothing awaits under it.
    ring: RwLock<Arc<Ring>>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Clocks of nodes may differ by this much before a signed value counts as expired.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// No value is good for longer, so that keys can be removed.
pub(crate) const MOST_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

const VERSION: u8 = 1;
const HEAD: usize = 1 + 8 + 8;
const TAG: usize = 32;

impl Keys {
    /// One key made from `secret`, which lives as long as the process: for tests, and for values that need not survive.
    pub fn fixed(secret: &[u8]) -> Self {
        Self::from_ring(Ring::fixed(secret), Timestamp::now)
    }

    /// A handle without a key yet: sealing fails and nothing opens until [`follow`](Self::follow) has found one.
    pub fn awaiting() -> Self {
        Self::from_ring(Ring::new(Vec::new()), Timestamp::now)
    }

    pub(crate) fn from_ring(ring: Ring, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { ring: RwLock::new(Arc::new(ring)), clock: Box::new(clock) }))
    }

    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, ring: Ring) {
        *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// `content` as text that anyone can read and nobody can change, good for `lifetime` from now.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) when there is no key yet, or when `lifetime` is above 90 days.
    pub fn seal(&self, purpose: &str, content: &[u8], lifetime: Duration) -> Result<String> {
        if lifetime > MOST_LIFETIME {
            return Err(Error::internal(
                "a signed value is good for at most 90 days: keys are removed after that",
            ));
        }
        let now = self.now();
        let ring = self.ring();
        let key = ring.signing(now).ok_or_else(|| Error::internal("there is no signing key yet"))?;
        let expires = now.as_second().saturating_add(lifetime.as_secs() as i64);

        let mut sealed = Vec::with_capacity(HEAD + content.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id.to_be_bytes());
        sealed.extend_from_slice(&expires.to_be_bytes());
        sealed.extend_from_slice(content);
        let tag = mac(key, purpose, &sealed).finalize().into_bytes();
        sealed.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The content of what [`seal`](Self::seal) made for the same purpose; `None` if it was changed, has expired, or
    /// was signed with a key that is gone.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        self.open_with_expiry(purpose, sealed).map(|(content, _)| content)
    }

    pub(crate) fn open_with_expiry(&self, purpose: &str, sealed: &str) -> Option<(Vec<u8>, i64)> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let signed_len = bytes.len().checked_sub(TAG).filter(|len| *len >= HEAD)?;
        let (signed, tag) = bytes.split_at(signed_len);
        if signed[0] != VERSION {
            return None;
        }
        let id = i64::from_be_bytes(signed[1..9].try_into().ok()?);
        let expires = i64::from_be_bytes(signed[9..HEAD].try_into().ok()?);
        let ring = self.ring();
        let key = ring.verifying(id)?;
        mac(key, purpose, signed).verify_slice(tag).ok()?;
        // The tag first: an expiry that nobody signed says nothing.
        let leeway = LEEWAY.as_secs() as i64;
        if expires.saturating_add(leeway) <= self.now().as_second() {
            return None;
        }
        bytes.truncate(signed_len);
        bytes.drain(..HEAD);
        Some((bytes, expires))
    }
}

fn mac(key: &Key, purpose: &str, signed: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes keys of every length");
    // The length keeps purpose and content apart.
    mac.update(&(purpose.len() as u64).to_be_bytes());
    mac.update(purpose.as_bytes());
    mac.update(signed);
    mac
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.ring().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
