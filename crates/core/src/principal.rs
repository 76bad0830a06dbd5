//! Who asks, and for whom.

use std::fmt;
use std::sync::Arc;

/// The authenticated caller. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

/// The customer organisation a request belongs to, where an application serves several.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

macro_rules! text {
    ($($name:ident)*) => {$(
        impl $name {
            /// Takes the identifier as it is.
            pub fn new(id: impl Into<Arc<str>>) -> Self {
                Self(id.into())
            }

            /// The identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

text!(Principal Tenant);
