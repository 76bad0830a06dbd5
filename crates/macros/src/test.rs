//! `#[burgeon_test::test(app)]`: one body, run on every engine and every number of nodes.
//!
//! For `async fn a_name(app: TestApp)` it writes, beside the function itself, a module of the same name with one
//! `#[test]` for each case: `a_name::sqlite`, `a_name::postgres`, `a_name::postgres_3_nodes`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, ItemFn, LitInt, LitStr, Path, Result, Token, bracketed};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Arguments { app, engines, nodes, settings } = syn::parse2(arguments)?;
    let body: ItemFn = syn::parse2(item)?;
    let signature = &body.sig;
    if signature.asyncness.is_none() || signature.inputs.len() != 1 {
        return Err(Error::new_spanned(
            signature,
            "a test of an application is an `async fn` with one argument: `async fn name(app: TestApp)`",
        ));
    }
    let name = &signature.ident;
    // What stands before the test (`#[should_panic]`, `#[cfg]`) belongs to each case; what stands inside, to the body.
    let (docs, outer): (Vec<_>, Vec<_>) = body
        .attrs
        .iter()
        .partition(|attribute| attribute.path().is_ident("doc") || attribute.path().is_ident("expect"));
    let block = &body.block;
    let settings: Vec<_> = settings.iter().map(|Setting { key, value }| quote! { (#key, #value) }).collect();
    let cases = engines.iter().flat_map(|engine| {
        // One process owns a SQLite file, so there it is always one node.
        let counts = if engine.variant == "Sqlite" { &[1][..] } else { &nodes };
        counts.iter().map(move |count| (engine, *count))
    });
    let tests = cases.map(|(engine, count)| {
        let case = match count {
            1 => format_ident!("{}", engine.name),
            count => format_ident!("{}_{count}_nodes", engine.name),
        };
        let variant = format_ident!("{}", engine.variant);
        let title = format!("{name}_{case}");
        quote! {
            #(#outer)*
            #[test]
            fn #case() {
                let settings = &[#(#settings),*];
                ::burgeon_test::private::run(
                    #title, #app, ::burgeon_test::Engine::#variant, #count, settings, super::#name,
                );
            }
        }
    });
    Ok(quote! {
        #(#docs)*
        #signature #block

        mod #name {
            #[allow(unused_imports, reason = "the path of the application may be a whole one")]
            use super::*;
            #(#tests)*
        }
    })
}

struct Arguments {
    app: Path,
    engines: Vec<Engine>,
    nodes: Vec<usize>,
    settings: Vec<Setting>,
}

/// `"http.timeout" = "1s"`.
struct Setting {
    key: LitStr,
    value: LitStr,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

#[derive(Clone, Copy)]
struct Engine {
    name: &'static str,
    variant: &'static str,
}

const SQLITE: Engine = Engine { name: "sqlite", variant: "Sqlite" };
const POSTGRES: Engine = Engine { name: "postgres", variant: "Postgres" };

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "name the function that makes the application: `#[burgeon_test::test(shop::app)]`",
            ));
        }
        let mut arguments = Self {
            app: input.parse()?,
            engines: vec![SQLITE, POSTGRES],
            nodes: vec![1, 3],
            settings: Vec::new(),
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let list;
            bracketed!(list in input);
            match key.to_string().as_str() {
                "engines" => arguments.engines = engines(&list)?,
                "nodes" => arguments.nodes = nodes(&list)?,
                "settings" => {
                    let settings = Punctuated::<Setting, Token![,]>::parse_terminated(&list)?;
                    arguments.settings = settings.into_iter().collect();
                }
                other => {
                    return Err(Error::new_spanned(
                        &key,
                        format!(
                            "`{other}` is not known here; there are `engines = [sqlite, postgres]`, `nodes = [1, 3]` and `settings = [\"key\" = \"value\"]`"
                        ),
                    ));
                }
            }
        }
        Ok(arguments)
    }
}

fn engines(list: ParseStream<'_>) -> Result<Vec<Engine>> {
    let at = list.span();
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(list)?;
    if names.is_empty() {
        return Err(Error::new(at, "name at least one engine: `sqlite`, `postgres`"));
    }
    names
        .iter()
        .map(|name| match name.to_string().as_str() {
            "sqlite" => Ok(SQLITE),
            "postgres" => Ok(POSTGRES),
            other => Err(Error::new_spanned(
                name,
                format!("`{other}` is no engine; there are `sqlite` and `postgres`"),
            )),
        })
        .collect()
}

fn nodes(list: ParseStream<'_>) -> Result<Vec<usize>> {
    let at = list.span();
    let counts = Punctuated::<LitInt, Token![,]>::parse_terminated(list)?;
    if counts.is_empty() {
        return Err(Error::new(at, "say at least one number of nodes: `nodes = [1, 3]`"));
    }
    counts
        .iter()
        .map(|count| match count.base10_parse() {
            Ok(number @ 1..=9) => Ok(number),
            _ => Err(Error::new_spanned(count, "a test runs on 1 to 9 nodes")),
        })
        .collect()
}
