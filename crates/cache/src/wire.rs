//! What a value looks like outside of this process.
//!
//! ```text
//!   0      version of this format
//!   1      flags: 1 the value is compressed, 2 it is JSON
//!   2..6   CRC-32 of what follows, little endian
//!   6..    head (postcard), then the value (postcard or JSON; raw deflate where that is shorter)
//! ```
//!
//! What this is: the bytes of one entry of the far tier. What it is not: its key, its fence, or its age, which the store that
//! holds it knows; lifetimes in here are durations from the moment the store took it.
//!
//! # Invariants
//! - Whatever the bytes are, reading them ends, in bounded memory, without a panic, in a value or in a reason why not.
//! - What is read has the shape of what was written: see [`shape`]. Another version of the program finds a miss, never
//!   nonsense.

pub(crate) mod shape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{Read, Write};

use burgeon_core::Position;
use burgeon_core::units::Size;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::stored::Validators;

/// The version of this format. Another one is a miss.
const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const JSON: u8 = 2;
const PREFIX: usize = 6;

/// The most tags of one value: each is a question on every read.
pub(crate) const TAGS: usize = 64;

/// How values are written outside of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// [postcard](https://postcard.jamesmunns.com): short and fast. It cannot take `#[serde(flatten)]`, `untagged` and
    /// `skip_serializing_if`: such values are not stored, and the log says so.
    #[default]
    Postcard,
    /// JSON: takes all that serde takes, and other programs can read it.
    Json,
}

/// What is told beside the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Of the value; see [`shape`].
    shape: u64,
    /// The value's bytes before they were compressed. `None`: there is no such thing.
    length: Option<u32>,
    pub(crate) span: Span,
    /// See [`crate::tags`].
    pub(crate) tags: Vec<u64>,
    pub(crate) validators: Option<Validators>,
    /// How far the database had come, at least, that it was loaded from.
    timeline: u32,
    lsn: u64,
}

/// A life in milliseconds, counted from when the store took the value; the milestones of [`crate::stored::Life`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) fresh: u64,
    pub(crate) eager: u64,
    pub(crate) revalidate: u64,
    pub(crate) kept: u64,
    pub(crate) cost: u64,
}

/// How values are to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) format: Format,
    pub(crate) compress_above: Size,
    pub(crate) limit: Size,
}

/// Why a value cannot be stored outside of this process.
#[derive(Debug)]
pub(crate) enum Unfit {
    TooLarge { bytes: u64 },
    TooManyTags(usize),
    Refused(String),
}

/// Why bytes are no value of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Written by another version of this format.
    Version,
    /// Not what was written: cut off, flipped, or never of ours.
    Damaged,
    /// Written by a program whose type is another one.
    Shape,
}

impl Head {
    pub(crate) fn new(
        span: Span,
        tags: Vec<u64>,
        validators: Option<Validators>,
        Position { timeline, lsn }: Position,
    ) -> Self {
        Self { shape: 0, length: None, span, tags, validators, timeline, lsn }
    }

    pub(crate) fn position(&self) -> Position {
        Position { timeline: self.timeline, lsn: self.lsn }
    }
}

/// The bytes of a value, or of the knowledge that there is none.
pub(crate) fn encode<V: Serialize>(
    value: Option<&V>,
    mut head: Head,
    rules: &Rules,
) -> Result<Vec<u8>, Unfit> {
    if head.tags.len() > TAGS {
        return Err(Unfit::TooManyTags(head.tags.len()));
    }
    let is_json = rules.format == Format::Json;
    let mut flags = if is_json { JSON } else { 0 };
    let mut body = Vec::new();
    if let Some(value) = value {
        head.shape = shape::of_value(value, is_json).map_err(Unfit::refused)?;
        body = match rules.format {
            Format::Postcard => postcard::to_allocvec(value).map_err(Unfit::refused)?,
            Format::Json => serde_json::to_vec(value).map_err(Unfit::refused)?,
        };
        if body.len() > rules.limit.as_usize() {
            return Err(Unfit::TooLarge { bytes: body.len() as u64 });
        }
        head.length =
            Some(u32::try_from(body.len()).map_err(|_| Unfit::TooLarge { bytes: body.len() as u64 })?);
        if body.len() > rules.compress_above.as_usize()
            && let Some(shorter) = compress(&body)
        {
            flags |= COMPRESSED;
            body = shorter;
        }
    }
    let mut bytes = Vec::with_capacity(PREFIX + 64 + body.len());
    bytes.extend([VERSION, flags, 0, 0, 0, 0]);
    let mut bytes = postcard::to_extend(&head, bytes).map_err(Unfit::refused)?;
    bytes.extend_from_slice(&body);
    let sum = checksum(flags, &bytes[PREFIX..]);
    bytes[2..PREFIX].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The value again. `limit` bounds what it may take.
pub(crate) fn decode<V: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: Size,
) -> Result<(Head, Option<V>), Unreadable> {
    let (flags, framed) = unframe(bytes)?;
    let (head, body) = postcard::take_from_bytes::<Head>(framed).map_err(|_| Unreadable::Damaged)?;
    let Some(length) = head.length else {
        return if body.is_empty() { Ok((head, None)) } else { Err(Unreadable::Damaged) };
    };
    if u64::from(length) > limit.as_bytes() {
        return Err(Unreadable::Damaged);
    }
    let inflated;
    let body = match flags & COMPRESSED {
        0 => body,
        _ => {
            inflated = inflate(body, length as usize)?;
            &inflated
        }
    };
    let is_json = flags & JSON != 0;
    // Whole bytes that do not decode were written for another type.
    let value: V = match is_json {
        true => serde_json::from_slice(body).map_err(|_| Unreadable::Shape)?,
        false => match postcard::take_from_bytes(body) {
            Ok((value, [])) => value,
            _ => return Err(Unreadable::Shape),
        },
    };
    match shape::of_value(&value, is_json) {
        Ok(shape) if shape == head.shape => Ok((head, Some(value))),
        _ => Err(Unreadable::Shape),
    }
}

fn unframe(bytes: &[u8]) -> Result<(u8, &[u8]), Unreadable> {
    match bytes {
        [VERSION, flags, a, b, c, d, framed @ ..] => {
            if *flags > (COMPRESSED | JSON)
                || checksum(*flags, framed) != u32::from_le_bytes([*a, *b, *c, *d])
            {
                return Err(Unreadable::Damaged);
            }
            Ok((*flags, framed))
        }
        [VERSION, ..] | [] => Err(Unreadable::Damaged),
        _ => Err(Unreadable::Version),
    }
}

fn checksum(flags: u8, framed: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(&[flags]);
    sum.update(framed);
    sum.sum()
}

/// Shorter by an eighth at least, or not worth undoing.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().filter(|shorter| shorter.len() < body.len() - body.len() / 8)
}

fn inflate(body: &[u8], length: usize) -> Result<Vec<u8>, Unreadable> {
    let mut inflated = Vec::with_capacity(length);
    // One more than was promised, so that a longer one is seen and not followed to its end.
    let read = DeflateDecoder::new(body).take(length as u64 + 1).read_to_end(&mut inflated);
    match read {
        Ok(read) if read == length => Ok(inflated),
        _ => Err(Unreadable::Damaged),
    }
}

impl Unfit {
    fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(f, "it has {bytes} bytes"),
            Self::TooManyTags(count) => write!(f, "it has {count} tags, and {TAGS} is the most"),
            Self::Refused(why) => write!(f, "it cannot be written: {why}"),
        }
    }
}

impl Unreadable {
    /// What meters call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Damaged => "damaged",
            Self::Shape => "shape",
        }
    }
}
