//! `sql!`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitStr, Result, Token};

use crate::scan::{Scan, scan};

/// `$crate; "name", "text", a, b` or `$crate; "name", sqlite: "text", postgres: "text", a, b`.
struct Statement {
    name: LitStr,
    texts: Texts,
    arguments: Punctuated<Expr, Token![,]>,
}

enum Texts {
    One(LitStr),
    Each { sqlite: LitStr, postgres: LitStr },
}

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let mut tokens = input.into_iter();
    let krate: TokenStream = tokens
        .by_ref()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
        .collect();
    let Statement { name, texts, arguments } = syn::parse2(tokens.collect())?;
    check_name(&name)?;
    let count = arguments.len();
    let (sqlite, postgres, reads) = match &texts {
        Texts::One(text) => {
            let found = scan(&text.value()).map_err(|why| Error::new(text.span(), why))?;
            if let Some(foreign) = found.foreign {
                return Err(Error::new(
                    text.span(),
                    format!("{foreign}; or give both texts: `sqlite: \"..\", postgres: \"..\"`"),
                ));
            }
            let found = checked(text, count)?;
            (found.sqlite, text.value(), found.reads)
        }
        Texts::Each { sqlite, postgres } => {
            let (on_sqlite, on_postgres) = (checked(sqlite, count)?, checked(postgres, count)?);
            if on_sqlite.reads != on_postgres.reads {
                let says = |reads| if reads { "only reads" } else { "changes or locks something" };
                return Err(Error::new(
                    postgres.span(),
                    format!(
                        "the two texts differ in kind: the one for SQLite {}, the one for Postgres {}",
                        says(on_sqlite.reads),
                        says(on_postgres.reads)
                    ),
                ));
            }
            (on_sqlite.sqlite, postgres.value(), on_sqlite.reads)
        }
    };
    let postgres = postgres.trim_end().trim_end_matches(';');
    let arguments = arguments.into_iter();
    let (kind, class) = if reads { (quote!(Reads), quote!(Read)) } else { (quote!(Writes), quote!(Write)) };
    Ok(quote! {{
        #[#krate::private::linkme::distributed_slice(#krate::STATEMENTS)]
        #[linkme(crate = #krate::private::linkme)]
        static STATEMENT: #krate::Stmt = #krate::Stmt::new(
            #name,
            #krate::Place { file: ::core::file!(), line: ::core::line!() },
            [#sqlite, #postgres],
            #krate::Class::#class,
            #count,
        );
        #krate::Query::<#krate::#kind>::new(
            &STATEMENT,
            ::std::vec![#(#krate::Param::into_value(#arguments)),*],
        )
    }})
}

/// The name becomes a label of meters: short, plain, a closed set.
fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let plain = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || "_-.".contains(character)
    };
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err(Error::new(
            name.span(),
            "a statement's name labels its meters: 1 to 64 of a-z, 0-9, `_`, `-`, `.`, such as \"find_product\"",
        ));
    }
    Ok(())
}

fn checked(text: &LitStr, given: usize) -> Result<Scan> {
    let refuse = |why: String| Error::new(text.span(), why);
    let found = scan(&text.value()).map_err(refuse)?;
    if let Some(beyond) = found.params.last().filter(|last| **last > given) {
        return Err(refuse(format!("the statement uses `${beyond}`, and {}", parameters(given))));
    }
    if let Some(unused) = (1..=given).find(|number| !found.params.contains(number)) {
        return Err(refuse(format!("{}, and the statement never uses `${unused}`", parameters(given))));
    }
    Ok(found)
}

fn parameters(count: usize) -> String {
    match count {
        0 => "no parameter is given".to_owned(),
        1 => "1 parameter is given".to_owned(),
        _ => format!("{count} parameters are given"),
    }
}

impl Parse for Statement {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: LitStr = input.parse().map_err(|error| {
            Error::new(
                error.span(),
                "a statement begins with its name: sql!(\"find_product\", \"select ..\", id)",
            )
        })?;
        input.parse::<Token![,]>().map_err(|error| {
            Error::new(
                error.span(),
                "behind the name comes the text: sql!(\"find_product\", \"select ..\", id)",
            )
        })?;
        let texts = if input.peek(LitStr) { Texts::One(input.parse()?) } else { Self::each(input)? };
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        let arguments = input.parse_terminated(Expr::parse, Token![,])?;
        Ok(Self { name, texts, arguments })
    }
}

impl Statement {
    fn each(input: ParseStream<'_>) -> Result<Texts> {
        let (mut sqlite, mut postgres) = (None, None);
        for _ in 0..2 {
            let engine: Ident = input.parse().map_err(|error| {
                Error::new(
                    error.span(),
                    "the text is a string literal, or `sqlite: \"..\", postgres: \"..\"`",
                )
            })?;
            input.parse::<Token![:]>()?;
            let text: LitStr = input.parse()?;
            match engine.to_string().as_str() {
                "sqlite" => sqlite = Some(text),
                "postgres" => postgres = Some(text),
                other => {
                    return Err(Error::new(
                        engine.span(),
                        format!("no engine is called `{other}`; there are `sqlite` and `postgres`"),
                    ));
                }
            }
            if input.is_empty() {
                break;
            }
            if sqlite.is_none() || postgres.is_none() {
                input.parse::<Token![,]>()?;
            }
        }
        match (sqlite, postgres) {
            (Some(sqlite), Some(postgres)) => Ok(Texts::Each { sqlite, postgres }),
            _ => Err(Error::new(
                Span::call_site(),
                "both texts are needed: `sqlite: \"..\", postgres: \"..\"`",
            )),
        }
    }
}
