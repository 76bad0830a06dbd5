//! Typed ids: a `ProductId` is not a `CustomerId`, though both are numbers.

/// Declares a typed id over `i64` or [`Uuid`](uuid::Uuid): transparent in JSON, comparable, hashable, parseable.
///
/// The roof's macro of the same name adds what the database and the edge need.
///
/// ```
/// burgeon_core::id! {
///     /// Names a product.
///     pub struct ProductId(i64);
/// }
///
/// let id: ProductId = "42".parse().unwrap();
/// assert_eq!(id, ProductId(42));
/// assert_eq!(id.to_string(), "42");
/// ```
#[macro_export]
macro_rules! id {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident($of:ty);)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $of);

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = <$of as ::core::str::FromStr>::Err;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl ::core::convert::From<$of> for $name {
            fn from(raw: $of) -> Self {
                Self(raw)
            }
        }

        impl ::core::convert::From<$name> for $of {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        // By hand, because serde's derive can only name its crate by a literal path that the user may not have.
        impl $crate::private::serde::Serialize for $name {
            fn serialize<S: $crate::private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::private::serde::Serialize::serialize(&self.0, serializer)
            }
        }

        impl<'de> $crate::private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::private::serde::Deserialize::deserialize(deserializer).map(Self)
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    crate::id! {
        struct Number(i64);
        struct Unique(Uuid);
    }

    #[test]
    fn an_id_is_transparent_in_json() {
        assert_eq!(serde_json::to_string(&Number(7)).unwrap(), "7");
        let id: Unique = serde_json::from_str("\"00000000-0000-0000-0000-000000000001\"").unwrap();
        assert_eq!(id, Unique(Uuid::from_u128(1)));
    }
}
