//! `Cache-Status`, in which a cache says what it did (RFC 9211).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::storing::Why;

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went on to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fwd {
    /// The cache does not handle such requests.
    Bypass,
    /// Its method changes something.
    Method,
    /// Nothing is kept of this address.
    UriMiss,
    /// Nothing is kept of this variant of the address.
    VaryMiss,
    /// Something was kept, and has left.
    Miss,
    /// What is kept is fresh, and the request does not want it.
    Request,
    /// What is kept is stale.
    Stale,
}

impl Fwd {
    fn name(self) -> &'static str {
        match self {
            Fwd::Bypass => "bypass",
            Fwd::Method => "method",
            Fwd::UriMiss => "uri-miss",
            Fwd::VaryMiss => "vary-miss",
            Fwd::Miss => "miss",
            Fwd::Request => "request",
            Fwd::Stale => "stale",
        }
    }
}

/// One cache's word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) hit: bool,
    pub(super) fwd: Option<Fwd>,
    /// What the handler answered, if it is not what goes out.
    pub(super) fwd_status: Option<StatusCode>,
    pub(super) collapsed: Option<bool>,
    pub(super) stored: bool,
    pub(super) ttl: Option<i64>,
    pub(super) detail: Option<&'static str>,
}

impl Status {
    pub(super) fn hit(ttl: i64) -> Self {
        Self { hit: true, ttl: Some(ttl), ..Self::default() }
    }

    pub(super) fn forwarded(fwd: Fwd) -> Self {
        Self { fwd: Some(fwd), ..Self::default() }
    }

    pub(super) fn said(detail: &'static str) -> Self {
        Self { detail: Some(detail), ..Self::default() }
    }

    pub(super) fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    pub(super) fn because(self, why: Why) -> Self {
        self.detail(why.name())
    }

    fn write(&self, name: &str) -> String {
        let mut text = name.to_owned();
        if self.hit {
            text.push_str("; hit");
        }
        if let Some(fwd) = self.fwd {
            let _ = write!(text, "; fwd={}", fwd.name());
        }
        if let Some(status) = self.fwd_status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        match self.collapsed {
            Some(true) => text.push_str("; collapsed"),
            Some(false) => text.push_str("; collapsed=?0"),
            None => {}
        }
        if self.stored {
            text.push_str("; stored");
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(text, "; ttl={ttl}");
        }
        if let Some(detail) = self.detail {
            let _ = write!(text, "; detail={detail}");
        }
        text
    }

    /// Says it behind those who were nearer to the origin.
    pub(super) fn tell(&self, name: &str, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.write(name)) {
            headers.append(CACHE_STATUS, value);
        }
    }
}
