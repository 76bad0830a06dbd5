//! Input that keeps the application's own rules, and forms that are shown again when they do not.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Field, Result};

use crate::Body;
use crate::extract::form::{checked, parse, read};
use crate::extract::{Extract, ExtractBody, Form, Head, Json, Query, ViaBody};
use crate::openapi::Operation;

/// Input with rules of its own.
///
/// ```
/// use burgeon_http::{Checks, Input};
///
/// struct SignUp { email: String, password: String }
///
/// impl Input for SignUp {
///     fn check(&self, check: &mut Checks) {
///         check.that("email", self.email.contains('@'), "must be an email address");
///         check.that("password", self.password.len() >= 10, "must have at least ten characters");
///     }
/// }
///
/// let fields = Checks::of(&SignUp { email: "ada".into(), password: "correct horse".into() });
/// assert_eq!(fields.len(), 1);
/// assert_eq!(fields[0].field, "email");
/// ```
pub trait Input {
    /// Tells every rule that is broken. Default: there are none.
    fn check(&self, check: &mut Checks) {
        let _ = check;
    }
}

/// The rules that were broken so far.
#[derive(Debug, Default)]
pub struct Checks {
    refused: Vec<Field>,
    prefix: String,
}

impl Checks {
    /// Everything that is wrong with `input`.
    pub fn of(input: &impl Input) -> Vec<Field> {
        let mut checks = Checks::default();
        input.check(&mut checks);
        checks.refused
    }

    /// Refuses `field` with `message` unless the rule `holds`. The message completes the sentence "this field ...".
    pub fn that(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        holds: bool,
        message: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            self.refuse(field, message);
        }
    }

    /// Refuses `field`.
    pub fn refuse(&mut self, field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) {
        let (field, message) = (field.into(), message.into());
        let field = if self.prefix.is_empty() { field } else { format!("{}{field}", self.prefix).into() };
        self.refused.push(Field { field, message });
    }

    /// Text that holds more than white space.
    pub fn not_blank(&mut self, field: &'static str, text: &str) {
        self.that(field, !text.trim().is_empty(), "must not be empty");
    }

    /// Text of so many characters.
    pub fn length(&mut self, field: &'static str, text: &str, range: std::ops::RangeInclusive<usize>) {
        if !range.contains(&text.chars().count()) {
            let message = format!("must have {} to {} characters", range.start(), range.end());
            self.refuse(field, message);
        }
    }

    /// A value between two others, both included.
    pub fn between<T: PartialOrd + fmt::Display>(
        &mut self,
        field: &'static str,
        value: T,
        range: std::ops::RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            self.refuse(field, format!("must be from {} to {}", range.start(), range.end()));
        }
    }

    /// The rules of an input inside this one, whose fields are named below `name`: `address.city`, `lines[2].quantity`.
    pub fn inside(&mut self, name: impl fmt::Display, input: &impl Input) {
        let outer = self.prefix.len();
        self.prefix.push_str(&format!("{name}."));
        input.check(self);
        self.prefix.truncate(outer);
    }
}

/// Input that parses and keeps its rules: `Valid<Json<T>>`, `Valid<Form<T>>`, `Valid<Query<T>>`.
///
/// What does not is refused with every broken rule by field (422).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T> Valid<T> {
    fn ruled<I: Input>(whole: T, input: impl FnOnce(&T) -> &I) -> Result<Self> {
        let refused = Checks::of(input(&whole));
        if refused.is_empty() { Ok(Self(whole)) } else { Err(Error::invalid_fields(refused)) }
    }
}

impl<S: Sync, T: Input + DeserializeOwned + JsonSchema> ExtractBody<S, ViaBody> for Valid<Json<T>> {
    async fn extract_body(head: &mut Head, body: Body, state: &S) -> Result<Self> {
        Valid::ruled(Json::extract_body(head, body, state).await?, |json| &json.0)
    }

    fn describe_body(operation: &mut Operation<'_>) {
        <Json<T> as ExtractBody<S>>::describe_body(operation);
    }
}

impl<S: Sync, T: Input + DeserializeOwned + JsonSchema> ExtractBody<S, ViaBody> for Valid<Form<T>> {
    async fn extract_body(head: &mut Head, body: Body, state: &S) -> Result<Self> {
        Valid::ruled(Form::extract_body(head, body, state).await?, |form| &form.0)
    }

    fn describe_body(operation: &mut Operation<'_>) {
        <Form<T> as ExtractBody<S>>::describe_body(operation);
    }
}

impl<S: Sync, T: Input + DeserializeOwned + JsonSchema> Extract<S> for Valid<Query<T>> {
    async fn extract(head: &mut Head, state: &S) -> Result<Self> {
        Valid::ruled(Query::extract(head, state).await?, |query| &query.0)
    }

    fn describe(operation: &mut Operation<'_>) {
        <Query<T> as Extract<S>>::describe(operation);
    }
}

/// A form as it was submitted, right or wrong: for handlers that show it again.
///
/// ```
/// # use burgeon_core::Result;
/// # use burgeon_http::{Html, Input, Redirect, Reply, Response, StatusCode, Submitted, schemars};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)] struct Review { stars: u8, text: String }
/// # impl Input for Review {}
/// # fn form(submitted: &Submitted<Review>) -> String { String::new() }
/// async fn review(submitted: Submitted<Review>) -> Result<Response> {
///     let review = match submitted.valid() {
///         Ok(review) => review,
///         Err(submitted) => return (StatusCode::UNPROCESSABLE_ENTITY, Html(form(&submitted))).reply(),
///     };
///     // .. save it ..
///     Redirect::to("/products/7").reply()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Submitted<T> {
    value: Option<T>,
    typed: Vec<(String, String)>,
    errors: Vec<Field>,
}

impl<T> Submitted<T> {
    /// A form that nobody has filled in yet, so that one function renders both.
    pub fn blank() -> Self {
        Self { value: None, typed: Vec::new(), errors: Vec::new() }
    }

    /// The value, if it parsed and keeps its rules; otherwise the form, to be shown again.
    ///
    /// # Errors
    /// The form itself.
    pub fn valid(mut self) -> Result<T, Box<Self>> {
        match self.value.take() {
            Some(value) if self.errors.is_empty() => Ok(value),
            other => {
                self.value = other;
                Err(Box::new(self))
            }
        }
    }

    /// What was typed into a field; empty if nothing was.
    pub fn typed(&self, field: &str) -> &str {
        self.typed.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value)
    }

    /// Everything typed into a field that may occur several times.
    pub fn all_typed<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a str> {
        self.typed.iter().filter(move |(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// What is wrong with a field, if something is.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|refused| refused.field == field).map(|refused| &*refused.message)
    }

    /// Everything that is wrong, in order.
    pub fn errors(&self) -> &[Field] {
        &self.errors
    }

    /// Adds what only the application could find out: the address is taken, the stock is gone.
    #[must_use]
    pub fn with_error(
        mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.errors.push(Field { field: field.into(), message: message.into() });
        self
    }

    /// Fills in what a form shows before anything was typed: the values as they are now.
    #[must_use]
    pub fn with_typed(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.typed.push((field.into(), value.into()));
        self
    }
}

impl<S: Sync, T: Input + DeserializeOwned + JsonSchema + Send> ExtractBody<S, ViaBody> for Submitted<T> {
    async fn extract_body(head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        let bytes = read(head, body).await?;
        let pairs = checked(head, &bytes)?;
        let (value, errors) = match parse::<T>(&pairs) {
            Ok(value) => {
                let errors = Checks::of(&value);
                (Some(value), errors)
            }
            Err(errors) => (None, errors),
        };
        let typed = pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Ok(Self { value, typed, errors })
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation.body::<T>("application/x-www-form-urlencoded");
    }
}
