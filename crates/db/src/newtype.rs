//! Types of the program's own in columns and parameters.

/// Lets newtypes over a portable type be parameters and columns.
///
/// ```
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// pub struct ProductId(pub i64);
///
/// burgeon_db::newtype!(ProductId(i64));
/// ```
#[macro_export]
macro_rules! newtype {
    ($($name:ident($of:ty)),+ $(,)?) => {$(
        impl $crate::Param for $name {
            const TYPE: $crate::Type = <$of as $crate::Param>::TYPE;

            fn into_value(self) -> $crate::Value {
                $crate::Param::into_value(self.0)
            }
        }

        impl $crate::Item for $name {}

        impl $crate::Column for $name {
            const TYPE: $crate::Type = <$of as $crate::Column>::TYPE;

            #[inline]
            fn read(cell: $crate::Cell<'_>) -> ::core::result::Result<Self, $crate::Mismatch> {
                <$of as $crate::Column>::read(cell).map(Self)
            }
        }
    )+};
}

/// Lets types with `Display` and `FromStr` be stored as text: an enum by the names of its variants.
///
/// ```
/// # use std::{fmt, str::FromStr};
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// pub enum State { Open, Paid }
///
/// impl fmt::Display for State {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str(match self { State::Open => "open", State::Paid => "paid" })
///     }
/// }
///
/// impl FromStr for State {
///     type Err = String;
///     fn from_str(text: &str) -> Result<Self, String> {
///         match text {
///             "open" => Ok(State::Open),
///             "paid" => Ok(State::Paid),
///             _ => Err("neither open nor paid".to_owned()),
///         }
///     }
/// }
///
/// burgeon_db::text_enum!(State);
/// ```
#[macro_export]
macro_rules! text_enum {
    ($($name:ident),+ $(,)?) => {$(
        impl $crate::Param for $name {
            const TYPE: $crate::Type = $crate::Type::Text;

            fn into_value(self) -> $crate::Value {
                $crate::Value::Text(::std::string::ToString::to_string(&self))
            }
        }

        impl $crate::Item for $name {}

        impl $crate::Column for $name {
            const TYPE: $crate::Type = $crate::Type::Text;

            fn read(cell: $crate::Cell<'_>) -> ::core::result::Result<Self, $crate::Mismatch> {
                let text = cell.text()?;
                text.parse().map_err(|error| {
                    $crate::Mismatch::value(::std::format!(
                        "as {}: `{text}` is {error}", ::core::stringify!($name),
                    ))
                })
            }
        }
    )+};
}

/// Runs an expression that ends in `.await` up to so many times, as long as it fails for a reason that another try
/// may overcome: a serialization failure or a deadlock. A visible loop, because a transaction's closure that borrows
/// cannot be both `Send` and repeatable.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Result};
/// # use burgeon_db::{Db, retry, sql};
/// # async fn count(db: &Db, ctx: &Ctx) -> Result<u64> {
/// retry!(3, db.tx(ctx, async |tx| {
///     sql!("count_up", "update counter set n = n + 1").execute(tx).await
/// }).await)
/// # }
/// ```
#[macro_export]
macro_rules! retry {
    ($times:expr, $attempt:expr) => {{
        let mut left: u32 = $times;
        loop {
            left = left.saturating_sub(1);
            match $attempt {
                ::core::result::Result::Err(error)
                    if left > 0 && $crate::Fault::of(&error).is_some_and($crate::Fault::is_transient) => {}
                result => break result,
            }
        }
    }};
}
