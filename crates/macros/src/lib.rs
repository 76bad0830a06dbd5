//! What a function cannot do: rows, statements, module APIs, tests.

mod api;
mod test;

use proc_macro::TokenStream;

/// Makes a trait of async methods the public API of a module: the trait, and a handle on it.
///
/// For `trait Catalog` the handle is `CatalogApi`: cloneable, made by `CatalogApi::direct(module)`, with the trait's
/// methods. Every method is `async`, takes `&self`, then `ctx: &Ctx`, then values (or `&str`, or slices), and returns
/// a `Result`, so that the module may later run in a process of its own.
#[proc_macro_attribute]
pub fn api(attributes: TokenStream, item: TokenStream) -> TokenStream {
    finish(api::expand(attributes.into(), item.into()))
}

/// Runs one test body on every engine and number of nodes.
///
/// `#[burgeon_test::test(shop::app)] async fn name(app: TestApp)` becomes the tests `name::sqlite`, `name::postgres` and
/// `name::postgres_3_nodes`; `engines = [..]` and `nodes = [..]` choose others.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(test::expand(arguments.into(), item.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
