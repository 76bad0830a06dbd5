//! Schemas for types of an application.

/// Gives newtypes the schema of what they wrap, under their own name: `newtype!(ProductId(i64));`
///
/// ```
/// struct ProductId(i64);
/// burgeon_http::newtype!(ProductId(i64));
///
/// let schema = burgeon_http::schemars::schema_for!(ProductId);
/// assert_eq!(schema.get("type").and_then(|value| value.as_str()), Some("integer"));
/// ```
#[macro_export]
macro_rules! newtype {
    ($($name:ident($of:ty)),+ $(,)?) => {$(
        impl $crate::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::core::stringify!($name))
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::core::concat!(::core::module_path!(), "::", ::core::stringify!($name)))
            }

            fn json_schema(generator: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                <$of as $crate::schemars::JsonSchema>::json_schema(generator)
            }
        }
    )+};
}
