//! `migrations!`.

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Error, LitStr, Result, Token};

/// `$crate; "0001_products.sql", "0002_search.sql"`, each a file of the crate's `migrations/` or a pair of them.
pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let mut tokens = input.into_iter();
    let krate: TokenStream = tokens
        .by_ref()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
        .collect();
    let names =
        syn::parse::Parser::parse2(Punctuated::<LitStr, Token![,]>::parse_terminated, tokens.collect())?;
    let folder = folder()?;
    let mut files = Vec::with_capacity(names.len());
    let mut last: Option<String> = None;
    for name in &names {
        let (stem, [sqlite, postgres]) = find(&folder, name)?;
        if let Some(last) = last.filter(|last| *last >= stem) {
            return Err(Error::new(
                name.span(),
                format!(
                    "`{stem}` does not come after `{last}`: migrations are listed in their order, numbered upwards"
                ),
            ));
        }
        files.push(quote!(#krate::Migration::new(
            #stem,
            [::core::include_str!(#sqlite), ::core::include_str!(#postgres)]
        )));
        last = Some(stem);
    }
    Ok(quote! {{
        const FILES: &[#krate::Migration] = &[#(#files),*];
        FILES
    }})
}

#[expect(clippy::disallowed_methods, reason = "the compiler says where the crate is by this variable alone")]
fn folder() -> Result<PathBuf> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR");
    let root =
        root.ok_or_else(|| Error::new(proc_macro2::Span::call_site(), "CARGO_MANIFEST_DIR is not set"))?;
    Ok(PathBuf::from(root).join("migrations"))
}

/// The migration's name, and the files for SQLite and for Postgres.
fn find(folder: &Path, name: &LitStr) -> Result<(String, [String; 2])> {
    let refuse = |why: String| Error::new(name.span(), why);
    let text = name.value();
    let Some(base) = text.strip_suffix(".sql") else {
        return Err(refuse(format!("a migration is a file that ends in .sql: write \"{text}.sql\"")));
    };
    let stem = base.rsplit('/').next().unwrap_or(base).to_owned();
    let path = |ending: &str| folder.join(format!("{base}{ending}"));
    let written = |path: PathBuf| -> Result<String> {
        path.into_os_string().into_string().map_err(|_| refuse("its path is no UTF-8".to_owned()))
    };
    let (one, sqlite, postgres) = (path(".sql"), path(".sqlite.sql"), path(".postgres.sql"));
    match (one.exists(), sqlite.exists(), postgres.exists()) {
        (true, false, false) => {
            let one = written(one)?;
            Ok((stem, [one.clone(), one]))
        }
        (false, true, true) => Ok((stem, [written(sqlite)?, written(postgres)?])),
        (true, _, _) => Err(refuse(format!(
            "there is {base}.sql, which serves both engines, and also one for a single engine; keep {base}.sql, or \
             the pair {base}.sqlite.sql and {base}.postgres.sql"
        ))),
        (false, true, false) => {
            Err(refuse(format!("{base}.postgres.sql is missing beside {base}.sqlite.sql")))
        }
        (false, false, true) => {
            Err(refuse(format!("{base}.sqlite.sql is missing beside {base}.postgres.sql")))
        }
        (false, false, false) => Err(refuse(format!(
            "there is neither {} nor the pair {base}.sqlite.sql and {base}.postgres.sql",
            one.display()
        ))),
    }
}
