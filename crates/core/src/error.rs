//! One opaque error for the whole house: a kind that decides, a sentence for the public, a source for the log.
//!
//! The public sentence is what a client may read; the source is what an operator reads. The door (`burgeon-http`)
//! prints both once, each to its own reader. Whoever returns an error does not also log it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of everything that can fail in Burgeon.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was, in the only distinctions a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input is wrong; the same input will fail again.
    Invalid,
    /// Nobody is signed in, or the credentials are wrong.
    Unauthenticated,
    /// Somebody is signed in and may not do this.
    Forbidden,
    /// The thing does not exist, or the caller may not know that it does.
    NotFound,
    /// The thing is in another state than the caller believed (a duplicate, a lost race).
    Conflict,
    /// The caller exceeded its own allowance; see [`Error::retry_after`].
    TooMany,
    /// The service sheds load; nothing was started, another try later may succeed.
    Overloaded,
    /// The deadline passed. Whether the work had an effect is said by the error's source.
    Deadline,
    /// Something this service depends on is away.
    Unavailable,
    /// A defect. The public sentence says nothing about it.
    Internal,
}

impl Kind {
    /// A stable, machine-readable name: `not_found`, `too_many`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::TooMany => "too_many",
            Kind::Overloaded => "overloaded",
            Kind::Deadline => "deadline",
            Kind::Unavailable => "unavailable",
            Kind::Internal => "internal",
        }
    }

    /// The kind with this [`name`](Self::name), for errors that crossed a wire.
    pub fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Every kind, in order of declaration.
    pub const ALL: [Kind; 10] = [
        Kind::Invalid,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Conflict,
        Kind::TooMany,
        Kind::Overloaded,
        Kind::Deadline,
        Kind::Unavailable,
        Kind::Internal,
    ];

    /// Whether the fault lies on this side, so that it belongs into the error log and the error rate.
    pub const fn is_ours(self) -> bool {
        matches!(self, Kind::Overloaded | Kind::Deadline | Kind::Unavailable | Kind::Internal)
    }

    const fn sentence(self) -> &'static str {
        match self {
            Kind::Invalid => "The request is not valid.",
            Kind::Unauthenticated => "Please sign in.",
            Kind::Forbidden => "You may not do this.",
            Kind::NotFound => "Not found.",
            Kind::Conflict => "The request conflicts with the current state.",
            Kind::TooMany => "Too many requests; please slow down.",
            Kind::Overloaded => "The service is busy; please try again shortly.",
            Kind::Deadline => "The request took too long.",
            Kind::Unavailable => "A part of the service is unavailable; please try again shortly.",
            Kind::Internal => "Something went wrong on our side.",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One field of the input that was refused, and why, in words for the person who filled it in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Field {
    /// Path of the field as the client sent it: `email`, `lines[2].quantity`.
    pub field: Cow<'static, str>,
    /// A sentence for people: `must not be empty`.
    pub message: Cow<'static, str>,
}

/// A failure: [`Kind`], public sentence, private source.
///
/// ```
/// use burgeon_core::{Error, Kind};
///
/// let refused = Error::conflict("This email address is already registered.");
/// assert_eq!(refused.kind(), Kind::Conflict);
///
/// let broken = Error::internal(std::io::Error::other("disk on fire"));
/// assert_eq!(broken.to_string(), "Something went wrong on our side.");
/// assert!(broken.detail().contains("disk on fire"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    public: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    fields: Vec<Field>,
    retry_after: Option<Duration>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(public: impl Into<Cow<'static, str>>) -> Self {
            Self::new(Kind::$kind, public)
        }
    )*};
}

impl Error {
    /// An error of this kind with this public sentence.
    pub fn new(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            public: public.into(),
            source: None,
            fields: Vec::new(),
            retry_after: None,
        }))
    }

    /// An error of this kind with the kind's own public sentence, and a private source.
    pub fn from_source(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(kind, kind.sentence()).with_source(source)
    }

    constructors! {
        /// [`Kind::Invalid`]: say what is wrong with the input.
        invalid => Invalid;
        /// [`Kind::Unauthenticated`].
        unauthenticated => Unauthenticated;
        /// [`Kind::Forbidden`].
        forbidden => Forbidden;
        /// [`Kind::NotFound`].
        not_found => NotFound;
        /// [`Kind::Conflict`]: say which state stands in the way.
        conflict => Conflict;
        /// [`Kind::TooMany`].
        too_many => TooMany;
        /// [`Kind::Overloaded`].
        overloaded => Overloaded;
        /// [`Kind::Deadline`]: say whose deadline, and how long it was.
        deadline => Deadline;
        /// [`Kind::Unavailable`]: say what is away.
        unavailable => Unavailable;
    }

    /// [`Kind::Internal`]: the source is for the log, the public reads a fixed sentence.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::from_source(Kind::Internal, source)
    }

    /// [`Kind::Invalid`] with the fields that were refused.
    pub fn invalid_fields(fields: Vec<Field>) -> Self {
        let mut error = Self::new(Kind::Invalid, "Some fields are not valid.");
        error.0.fields = fields;
        error
    }

    /// Attaches the private cause. The latest one wins.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Tells the caller when another try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// What sort of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence a client may read; the same as `to_string()`.
    pub fn public(&self) -> &str {
        &self.0.public
    }

    /// The refused fields; empty unless the error came from validation.
    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }

    /// When another try makes sense, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The first error of type `E` in the chain of sources, for callers that need more than the kind.
    pub fn find<E: StdError + 'static>(&self) -> Option<&E> {
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The whole story for the log: kind, public sentence, and every source down the chain.
    pub fn detail(&self) -> String {
        let mut text = format!("{}: {}", self.0.kind, self.0.public);
        let mut next = self.source();
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.public)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())?;
        for field in &self.0.fields {
            write!(f, "\n  {}: {}", field.field, field.message)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// `Option` to `Result`, for things looked up by a client's key.
pub trait OrNotFound<T> {
    /// `None` becomes [`Kind::NotFound`] with the sentence "There is no such {what}."
    fn or_not_found(self, what: &str) -> Result<T>;
}

impl<T> OrNotFound<T> for Option<T> {
    fn or_not_found(self, what: &str) -> Result<T> {
        self.ok_or_else(|| Error::not_found(format!("There is no such {what}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_sentence_never_carries_the_source() {
        for kind in Kind::ALL {
            let error = Error::from_source(kind, "password=hunter2");
            assert!(!error.to_string().contains("hunter2"), "{kind}");
            assert!(error.detail().contains("hunter2"), "{kind}");
        }
    }

    #[test]
    fn a_kind_survives_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("nonsense"), None);
    }

    #[test]
    fn a_source_is_found_through_the_chain() {
        let inner = Error::internal(std::io::Error::new(std::io::ErrorKind::NotFound, "gone"));
        let outer = Error::from_source(Kind::Unavailable, inner);
        assert_eq!(
            outer.find::<std::io::Error>().map(std::io::Error::kind),
            Some(std::io::ErrorKind::NotFound)
        );
        assert!(outer.find::<fmt::Error>().is_none());
    }
}
