//! Static files: styles, scripts, pictures.
//!
//! What this is: files from a directory or built into the binary, with a strong ETag over their content, ranges, and
//! addresses that carry the content's hash, so that browsers and caches may keep them for ever. What it is not: a place
//! for what users upload; nothing here asks who may read it.
//!
//! ```
//! use burgeon_http::{Assets, Door, Mounts};
//!
//! static FILES: &[(&str, &[u8])] = &[("app.css", b"body { margin: 0 }")];
//!
//! let assets = Assets::embedded("/assets", FILES);
//! assert_eq!(assets.url("app.css"), "/assets/app.997faceca2605a98.css");
//! let router = Mounts::new().mount("/", assets.routes()).router(Door::new()).unwrap();
//! ```
//!
//! # Invariants
//! - No address leads out of the directory: not by `..`, not by a link, not encoded. Names that begin with a dot are not
//!   served.
//! - What is sent as unchangeable is what its address's hash says; a file that changed on disk is served at its old
//!   address too, but then asks to be checked again each time.

mod directory;
mod range;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

use burgeon_core::{Error, Result};

use crate::extract::{Path, State};
use crate::problem::status_error;
use crate::route::{RouteList, Routes, get};
use crate::{Body, Response};

use directory::Directory;
use range::{Ranged, ranged};

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const CHECK_EACH_TIME: &str = "no-cache";

/// Static files below one address. Cloning shares them.
#[derive(Clone)]
pub struct Assets(Arc<Inner>);

struct Inner {
    prefix: String,
    source: Source,
}

enum Source {
    Embedded(BTreeMap<&'static str, Embedded>),
    Directory(Directory),
}

struct Embedded {
    content: Bytes,
    hash: Hash,
}

/// The first half of a content's SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hash(String);

/// A file that was found, ready to be sent.
struct Found {
    hash: Hash,
    len: u64,
    content: Content,
}

enum Content {
    Bytes(Bytes),
    File(tokio::fs::File),
}

impl Assets {
    /// Files built into the binary: names below `prefix`, and contents.
    pub fn embedded(prefix: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        let files = files.iter().map(|(name, content)| {
            let hash = Hash::of(content);
            (*name, Embedded { content: Bytes::from_static(content), hash })
        });
        Self::new(prefix, Source::Embedded(files.collect()))
    }

    /// Files below a directory, which is read once now, and again whenever a file has changed.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) naming the directory or file that cannot be read, or when there
    /// are more than 10,000 files.
    pub fn directory(prefix: &str, root: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self::new(prefix, Source::Directory(Directory::scan(root.into())?)))
    }

    fn new(prefix: &str, source: Source) -> Self {
        Self(Arc::new(Inner { prefix: format!("/{}", prefix.trim_matches('/')), source }))
    }

    /// The address of a file, with its content's hash. A name that is not there keeps its plain address, which is 404.
    pub fn url(&self, name: &str) -> String {
        let hash = match &self.0.source {
            Source::Embedded(files) => files.get(name).map(|file| file.hash.clone()),
            Source::Directory(directory) => directory.known_hash(name),
        };
        match hash {
            Some(hash) => format!("{}/{}", self.0.prefix, hash.into_name(name)),
            None => format!("{}/{name}", self.0.prefix),
        }
    }

    /// The route that serves them.
    pub fn routes(&self) -> RouteList {
        let path = format!("{}/{{*path}}", self.0.prefix.trim_end_matches('/'));
        Routes::new(self.clone()).routes([get(&path, serve).name("asset").hidden()]).into()
    }

    async fn find(&self, path: &str) -> Result<Option<(Found, &'static str)>> {
        if let Some(found) = self.open(path).await? {
            return Ok(Some((found, CHECK_EACH_TIME)));
        }
        let Some((name, hash)) = Hash::out_of_name(path) else { return Ok(None) };
        let found = self.open(&name).await?;
        Ok(found.map(|found| {
            let caching = if found.hash == hash { FOR_EVER } else { CHECK_EACH_TIME };
            (found, caching)
        }))
    }

    async fn open(&self, name: &str) -> Result<Option<Found>> {
        match &self.0.source {
            Source::Directory(directory) => directory.open(name).await,
            Source::Embedded(files) => Ok(files.get(name).map(|file| Found {
                hash: file.hash.clone(),
                len: file.content.len() as u64,
                content: Content::Bytes(file.content.clone()),
            })),
        }
    }
}

async fn serve(
    State(assets): State<Assets>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let Some((found, caching)) = assets.find(&path).await? else {
        return Err(Error::not_found("There is no such file."));
    };
    answer(&path, found, caching, &headers)
}

/// RFC 9110 §13.2.2: first whether it changed, then which part.
fn answer(name: &str, found: Found, caching: &'static str, asked: &HeaderMap) -> Result<Response> {
    let etag = format!("\"{}\"", found.hash.0);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&etag).map_err(Error::internal)?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));

    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| matches_any(tags, &etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let wanted = match text(RANGE) {
        // A range of what has changed would not fit the rest.
        Some(range) if text(IF_RANGE).is_none_or(|tag| tag.trim() == etag) => ranged(range, found.len),
        _ => Ranged::Whole,
    };
    let (start, len) = match wanted {
        Ranged::Whole => (0, found.len),
        Ranged::Part { start, end } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{end}/{}", found.len);
            response
                .headers_mut()
                .insert(CONTENT_RANGE, HeaderValue::from_str(&range).map_err(Error::internal)?);
            (start, end - start + 1)
        }
        Ranged::Unsatisfiable => {
            let sentence =
                format!("The file has {} bytes, and none in the range that was asked for.", found.len);
            return Err(status_error(StatusCode::RANGE_NOT_SATISFIABLE, sentence));
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    headers.insert(CONTENT_TYPE, content_type(name));
    *response.body_mut() = match found.content {
        // Both bounds are inside the bytes, so they fit an index.
        Content::Bytes(bytes) => Body::from(bytes.slice(start as usize..(start + len) as usize)),
        Content::File(file) => directory::read(file, start, len),
    };
    Ok(response)
}

fn matches_any(tags: &str, etag: &str) -> bool {
    // Weak comparison (RFC 9110 §13.1.2): a compressing layer marks ours as weak.
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn content_type(name: &str) -> HeaderValue {
    let guessed = mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream");
    let textual = guessed.starts_with("text/")
        || matches!(guessed, "application/javascript" | "application/json" | "image/svg+xml");
    let text = if textual { format!("{guessed}; charset=utf-8") } else { guessed.to_owned() };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

impl Hash {
    /// Digits in an address: 64 bits, enough to tell a file's versions apart.
    const SHORT: usize = 16;

    fn of(content: &[u8]) -> Self {
        Self::from_digest(&Sha256::digest(content))
    }

    fn from_digest(digest: &[u8]) -> Self {
        let mut text = String::with_capacity(Self::SHORT);
        for byte in digest.iter().take(Self::SHORT / 2) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// `css/app.css` to `css/app.<hash>.css`.
    fn into_name(self, name: &str) -> String {
        let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
        let slash = if folder.is_empty() { "" } else { "/" };
        match file.rsplit_once('.') {
            Some((stem, extension)) => format!("{folder}{slash}{stem}.{}.{extension}", self.0),
            None => format!("{folder}{slash}{file}.{}", self.0),
        }
    }

    /// The way back. `None` when there is no hash in the name.
    fn out_of_name(name: &str) -> Option<(String, Self)> {
        let is_hash = |text: &str| {
            text.len() == Self::SHORT && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let (before, last) = name.rsplit_once('.')?;
        if is_hash(last) {
            return Some((before.to_owned(), Self(last.to_owned())));
        }
        let (stem, hash) = before.rsplit_once('.')?;
        is_hash(hash).then(|| (format!("{stem}.{last}"), Self(hash.to_owned())))
    }
}

impl fmt::Debug for Assets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assets").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}
