//! `#[derive(Row)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, LitStr, Result};

pub(crate) fn expand(input: TokenStream, krate: &TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "a row has no generic parameters: its columns are known by name and type",
        ));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "only a struct can be read from a row; for an enum stored by name see `text_enum!`",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            input.ident.span(),
            "columns are found by the names of the fields, and these have none; read a tuple, or use `newtype!` for a newtype",
        ));
    };
    let name = &input.ident;
    let count = fields.named.len();
    let mut finds = Vec::with_capacity(count);
    let mut reads = Vec::with_capacity(count);
    for (index, field) in fields.named.iter().enumerate() {
        let (ident, ty, column) = (&field.ident, &field.ty, column_of(field)?);
        finds.push(quote!(columns.find(#column, #index)?));
        reads.push(quote_spanned!(ty.span()=> #ident: row.get::<#ty>(layout[#index])?));
    }
    Ok(quote! {
        #[automatically_derived]
        impl #krate::Row for #name {
            type Layout = [usize; #count];

            fn layout(
                columns: &#krate::Columns<'_>,
            ) -> ::core::result::Result<Self::Layout, #krate::Mismatch> {
                ::core::result::Result::Ok([#(#finds),*])
            }

            fn read(
                row: &#krate::RowView<'_>,
                layout: &Self::Layout,
            ) -> ::core::result::Result<Self, #krate::Unreadable> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}

/// The column a field is read from: its own name, or the one in `#[row(rename = "..")]`.
fn column_of(field: &Field) -> Result<String> {
    let mut column = field.ident.as_ref().map(|ident| {
        let name = ident.to_string();
        name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
    });
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error("unknown setting; there is `#[row(rename = \"column\")]`"));
            }
            column = Some(meta.value()?.parse::<LitStr>()?.value());
            Ok(())
        })?;
    }
    column.ok_or_else(|| Error::new(field.span(), "a field without a name has no column"))
}
