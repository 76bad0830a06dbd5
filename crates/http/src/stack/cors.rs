//! Cross-origin resource sharing (Fetch standard, 3.2). Off unless origins are configured.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::{Body, Config, Response};

/// Who may ask, and what they may send. `None` in the stack when nobody may.
#[derive(Debug)]
pub(super) struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
    credentials: bool,
    headers: HeaderValue,
    max_age: Option<HeaderValue>,
}

impl Cors {
    /// # Errors
    /// A sentence naming the key, when a value cannot stand in a header.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, String> {
        let cors = &config.cors;
        if cors.origins.is_empty() {
            return Ok(None);
        }
        let header = |key: &str, text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| format!("http.cors.{key}: `{text}` cannot stand in a header"))
        };
        let origins = cors
            .origins
            .iter()
            .map(|origin| header("origins", origin.trim_end_matches('/')))
            .collect::<Result<_, _>>()?;
        let max_age = match cors.max_age {
            Duration::ZERO => None,
            age => Some(header("max_age", &age.as_secs().to_string())?),
        };
        Ok(Some(Self {
            any: cors.origins.iter().any(|origin| origin == "*"),
            origins,
            credentials: cors.credentials,
            headers: header("headers", &cors.headers.join(", "))?,
            max_age,
        }))
    }

    /// The origin to answer, if the request comes from one that may ask.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().find(|allowed| *allowed == origin).cloned()
    }

    /// The answer to a browser's question before the request, if this is one.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if *method != Method::OPTIONS
            || !headers.contains_key(ORIGIN)
            || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed(headers.get(ORIGIN)).is_some() {
            let answer = response.headers_mut();
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"),
            );
            if !self.headers.is_empty() {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            }
            if let Some(age) = &self.max_age {
                answer.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some(response)
    }

    /// Marks a response as readable by `origin`, or as one that might have been.
    pub(super) fn apply(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        if !self.any {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = self.allowed(origin) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after"));
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
