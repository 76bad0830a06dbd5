//! A response, and what a test says about it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

/// A whole response. What is asserted and does not hold fails the test with the request, the status and the body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How much of a body a failure shows.
const SHOWN: usize = 2_000;

impl Answer {
    /// The status is 2xx.
    #[track_caller]
    pub fn ok(self) -> Self {
        if !self.status.is_success() {
            self.fail("expected success");
        }
        self
    }

    /// The status is this one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        if self.status.as_u16() != status {
            self.fail(&format!("expected status {status}"));
        }
        self
    }

    /// The answer sends the client to `path`.
    #[track_caller]
    pub fn redirects_to(self, path: &str) -> Self {
        if !self.status.is_redirection() || self.header("location") != Some(path) {
            self.fail(&format!("expected a redirection to {path}, got one to {:?}", self.header("location")));
        }
        self
    }

    /// The body holds this text.
    #[track_caller]
    pub fn contains(self, text: &str) -> Self {
        if !self.text().contains(text) {
            self.fail(&format!("expected the body to contain {text:?}"));
        }
        self
    }

    /// The body does not hold this text.
    #[track_caller]
    pub fn lacks(self, text: &str) -> Self {
        if self.text().contains(text) {
            self.fail(&format!("expected the body not to contain {text:?}"));
        }
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => {
                self.fail(&format!("expected JSON of {}: {error}", std::any::type_name::<T>()));
            }
        }
    }

    #[track_caller]
    fn fail(&self, expected: &str) -> ! {
        let text = self.text();
        let (shown, cut) = match text.char_indices().nth(SHOWN) {
            Some((at, _)) => (&text[..at], format!("\n.. and {} more bytes", text.len() - at)),
            None => (text.as_str(), String::new()),
        };
        panic!(
            "{expected}\n  request: {}\n  status:  {}\n  body:    {shown}{cut}",
            self.request, self.status
        );
    }
}
