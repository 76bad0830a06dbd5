//! Cookies: those that were sent, and those to be set (RFC 6265bis).
//!
//! Cookies set by a handler travel with its response if it succeeds; a handler that fails sets none.

mod flash;
mod session;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use burgeon_core::{Error, Result};

use crate::door::Door;
use crate::extract::{Extract, Head};

pub use flash::{Flash, Level, Message};
pub use session::Session;
pub(crate) use session::keys;

/// What may not stand in a cookie's value as it is (RFC 6265 §4.1.1), and the sign that says so.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// The cookies of a request and of its response. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Cookies {
    jar: Jar,
    secure: bool,
}

/// A cookie to be set. By default: for the whole site, `HttpOnly`, `SameSite=Lax`, until the browser closes, and
/// `Secure` wherever the connection allows.
#[derive(Debug, Clone)]
#[must_use = "set it with `Cookies::set`"]
pub struct Cookie {
    name: String,
    value: String,
    path: String,
    max_age: Option<Duration>,
    same_site: SameSite,
    readable: bool,
}

/// Whether a cookie travels with requests that other sites cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the user follows a link.
    Lax,
    /// Always; browsers want it to be `Secure` then.
    None,
}

impl Cookie {
    /// A cookie of this name and value. The value may be any text; it is percent-encoded where it must be.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".into(),
            max_age: None,
            same_site: SameSite::Lax,
            readable: false,
        }
    }

    /// How long the browser keeps it. Default: until it is closed.
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Only for addresses below `path`. Default `/`.
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Whether it travels with requests that other sites cause. Default [`SameSite::Lax`].
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Lets scripts on the page read it. Default: they cannot.
    pub fn readable_by_scripts(mut self) -> Self {
        self.readable = true;
        self
    }

    pub(crate) fn header(&self, secure: bool) -> Result<HeaderValue> {
        let token = |byte: u8| byte.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Err(Error::internal(format!("`{}` cannot be the name of a cookie", self.name)));
        }
        if self.path.bytes().any(|byte| byte == b';' || byte.is_ascii_control()) {
            return Err(Error::internal(format!("`{}` cannot be the path of a cookie", self.path)));
        }
        let mut text = format!("{}={}", self.name, utf8_percent_encode(&self.value, ENCODED));
        let _ = write!(text, "; Path={}", self.path);
        if let Some(age) = self.max_age {
            let _ = write!(text, "; Max-Age={}", age.as_secs());
        }
        let same_site = match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        text.push_str(same_site);
        if !self.readable {
            text.push_str("; HttpOnly");
        }
        if secure {
            text.push_str("; Secure");
        }
        HeaderValue::from_str(&text).map_err(Error::internal)
    }
}

impl Cookies {
    /// The value of a cookie that was sent. What is set in this response is not among them.
    pub fn get(&self, name: &str) -> Option<String> {
        self.jar.get(name)
    }

    /// Sets a cookie with the response.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) when the name or path cannot stand in a header.
    pub fn set(&self, cookie: &Cookie) -> Result<()> {
        self.jar.set(cookie, self.secure)
    }

    /// Makes the browser forget a cookie.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn remove(&self, name: &str) -> Result<()> {
        self.set(&Cookie::new(name, "").with_max_age(Duration::ZERO))
    }
}

impl<S: Sync> Extract<S> for Cookies {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        let secure = head.is_secure();
        Ok(Self { jar: head.jar(), secure })
    }
}

/// What is shared between the extractors of one request and the response that is made at its end.
#[derive(Debug, Clone)]
pub(crate) struct Jar(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    sent: Vec<(String, String)>,
    set: Vec<(String, HeaderValue)>,
    session: Option<session::State>,
    flash: Option<flash::State>,
}

impl Jar {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = Vec::new();
        for header in headers.get_all(COOKIE) {
            let Ok(text) = header.to_str() else { continue };
            sent.extend(parse(text));
        }
        Self(Arc::new(Mutex::new(Contents { sent, ..Contents::default() })))
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        // Of several of one name the first counts: browsers send the most specific first.
        self.lock().sent.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.clone())
    }

    fn set(&self, cookie: &Cookie, secure: bool) -> Result<()> {
        let header = cookie.header(secure)?;
        let mut contents = self.lock();
        contents.set.retain(|(name, _)| *name != cookie.name);
        contents.set.push((cookie.name.clone(), header));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was set into the response's headers.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, door: &Door, secure: bool) -> Result<()> {
        session::save(self, door, secure)?;
        flash::save(self, door, secure)?;
        for (_, cookie) in std::mem::take(&mut self.lock().set) {
            headers.append(SET_COOKIE, cookie);
        }
        Ok(())
    }
}

/// The value of one cookie, without a jar for all.
pub(crate) fn sent(headers: &HeaderMap, name: &str) -> Option<String> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    // Most requests have cookies, and not this one.
    let mut pairs = fields.filter(|field| field.contains(name)).flat_map(parse);
    pairs.find(|(sent, _)| sent == name).map(|(_, value)| value)
}

/// Name and value of each pair of a `Cookie` header. What is no pair is skipped, as browsers' servers do.
fn parse(header: &str) -> impl Iterator<Item = (String, String)> {
    header.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
        let decoded = percent_decode_str(value).decode_utf8().ok()?;
        (!name.is_empty()).then(|| (name.to_owned(), decoded.into_owned()))
    })
}

/// The name of one of the framework's cookies: with `__Host-`, browsers accept it only over TLS, for this host and path
/// `/`, so that no other host of the domain can plant one.
pub(crate) fn own_name(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
