//! What a function cannot do: rows, statements, module APIs, tests.
//!
//! Expansions are boring on purpose: read one with `cargo expand` and it is what one would have written by hand.

mod api;
mod migrations;
mod row;
mod scan;
mod sql;
mod test;

use proc_macro::TokenStream;

/// Behind `burgeon_db::sql!`, which passes the path of its own crate first.
#[doc(hidden)]
#[proc_macro]
pub fn sql_statement(input: TokenStream) -> TokenStream {
    finish(sql::expand(input.into()))
}

/// Behind `burgeon_db::migrations!`, which passes the path of its own crate first.
#[doc(hidden)]
#[proc_macro]
pub fn migration_files(input: TokenStream) -> TokenStream {
    finish(migrations::expand(input.into()))
}

/// Reads a struct from a row by column names.
///
/// Every field is a column of its name, or of the name in `#[row(rename = "..")]`; its type is a `Column`: a portable
/// type, an `Option` of one, a newtype.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    finish(row::expand(input.into(), &quote::quote!(::burgeon_db)))
}

/// [`Row`](derive@Row) for applications that name only `burgeon`, which re-exports it as `Row`.
#[doc(hidden)]
#[proc_macro_derive(RoofRow, attributes(row))]
pub fn derive_roof_row(input: TokenStream) -> TokenStream {
    finish(row::expand(input.into(), &quote::quote!(::burgeon::db)))
}

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
/// `name::postgres_3_nodes`; `engines = [..]` and `nodes = [..]` choose others, and
/// `settings = ["http.timeout" = "1s"]` sets keys of the configuration.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(test::expand(arguments.into(), item.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
