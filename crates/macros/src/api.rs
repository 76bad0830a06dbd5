//! `#[burgeon::api]`: from a trait of async methods to a handle that may reach further than this process.
//!
//! For `trait Catalog` it writes three things: the trait itself with `Send` futures, a private twin of it with boxed
//! ones (a trait with async methods cannot be a `dyn`), and the handle `CatalogApi`. Whatever could not cross to another
//! process is refused here, while it still runs in this one.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Error, FnArg, Ident, ItemTrait, Pat, ReceiverKind, Result, ReturnType, TraitItem, TraitItemFn, Type,
};

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`#[burgeon::api]` takes no arguments"));
    }
    let api: ItemTrait = syn::parse2(item)?;
    refuse_trait(&api)?;
    let mut methods = Vec::new();
    let mut errors: Option<Error> = None;
    for item in &api.items {
        match Method::of(item) {
            Ok(method) => methods.push(method),
            Err(error) => match &mut errors {
                Some(all) => all.combine(error),
                None => errors = Some(error),
            },
        }
    }
    match errors {
        Some(errors) => Err(errors),
        None => Ok(write(&api, &methods)),
    }
}

fn refuse_trait(api: &ItemTrait) -> Result<()> {
    if !api.generics.params.is_empty() || api.generics.where_clause.is_some() {
        return Err(Error::new_spanned(
            &api.generics,
            "a module's API cannot be generic: another process must know its types",
        ));
    }
    if !api.supertraits.is_empty() {
        return Err(Error::new_spanned(
            &api.supertraits,
            "a module's API has no supertraits: only its own methods can be called from another process",
        ));
    }
    if let Some(token) = &api.unsafety {
        return Err(Error::new_spanned(token, "a module's API cannot be unsafe"));
    }
    Ok(())
}

/// A method that may cross to another process.
struct Method<'a> {
    item: &'a TraitItemFn,
    name: &'a Ident,
    ctx: &'a Ident,
    ctx_type: &'a Type,
    arguments: Vec<Argument<'a>>,
    output: &'a Type,
}

struct Argument<'a> {
    name: &'a Ident,
    /// As the caller gives it.
    given: &'a Type,
    /// As it arrives in another process, where it differs, and how it is given on from there.
    owned: TokenStream,
    borrowed: bool,
}

impl<'a> Method<'a> {
    fn of(item: &'a TraitItem) -> Result<Self> {
        let TraitItem::Fn(item) = item else {
            return Err(Error::new_spanned(item, "a module's API consists of async methods alone"));
        };
        let signature = &item.sig;
        if signature.asyncness.is_none() {
            return Err(Error::new_spanned(
                signature.fn_token,
                "a method of a module's API must be `async`: the module may run in another process",
            ));
        }
        if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
            return Err(Error::new_spanned(
                &signature.generics,
                "a method of a module's API cannot be generic: another process must know its types",
            ));
        }
        if let Some(body) = &item.default {
            return Err(Error::new_spanned(
                body,
                "a method of a module's API has no body: the module gives it",
            ));
        }
        let mut inputs = signature.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(receiver))
                if matches!(receiver.kind, ReceiverKind::Reference(_, None, None)) => {}
            _ => {
                return Err(Error::new_spanned(
                    signature,
                    "a method of a module's API takes `&self` first: many callers share it",
                ));
            }
        }
        let (ctx, ctx_type) = inputs.next().and_then(context).ok_or_else(|| {
            Error::new_spanned(
                signature,
                "a method of a module's API takes `ctx: &Ctx` right after `&self`: deadline, trace and caller go with every call",
            )
        })?;
        let arguments = inputs.map(Argument::of).collect::<Result<_>>()?;
        Ok(Self { item, name: &signature.ident, ctx, ctx_type, arguments, output: output(item)? })
    }
}

impl<'a> Argument<'a> {
    fn of(argument: &'a FnArg) -> Result<Self> {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new_spanned(argument, "`self` comes first"));
        };
        let name = plain_name(&argument.pat)?;
        let given = &*argument.ty;
        match given {
            Type::Reference(reference) if reference.mutability.is_some() => Err(Error::new_spanned(
                given,
                "an argument cannot be changed across a process boundary: take it by value and return the new one",
            )),
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => {
                    Ok(Self { name, given, owned: quote!(::std::string::String), borrowed: true })
                }
                Type::Slice(slice) => {
                    let element = &slice.elem;
                    Ok(Self { name, given, owned: quote!(::std::vec::Vec<#element>), borrowed: true })
                }
                _ => Err(Error::new_spanned(
                    given,
                    "an argument cannot be borrowed across a process boundary: take it by value (only `&str` and slices may be borrowed)",
                )),
            },
            Type::ImplTrait(_) => Err(Error::new_spanned(
                given,
                "an argument needs a type of its own: another process must know it",
            )),
            _ => Ok(Self { name, given, owned: quote!(#given), borrowed: false }),
        }
    }
}

/// `ctx: &Ctx`, by whatever path `Ctx` is named.
fn context(argument: &FnArg) -> Option<(&Ident, &Type)> {
    let FnArg::Typed(argument) = argument else { return None };
    let Type::Reference(reference) = &*argument.ty else { return None };
    let Type::Path(path) = &*reference.elem else { return None };
    let is_ctx = reference.mutability.is_none() && path.path.segments.last()?.ident == "Ctx";
    Some((plain_name(&argument.pat).ok().filter(|_| is_ctx)?, &argument.ty))
}

fn plain_name(pattern: &Pat) -> Result<&Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => Ok(&name.ident),
        _ => Err(Error::new_spanned(pattern, "an argument of a module's API needs a plain name")),
    }
}

fn output(item: &TraitItemFn) -> Result<&Type> {
    let refused = "a method of a module's API returns a `Result`: a call to another process can always fail";
    match &item.sig.output {
        ReturnType::Default => Err(Error::new_spanned(&item.sig, refused)),
        ReturnType::Type(_, output) => match &**output {
            Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result") => {
                Ok(output)
            }
            other => Err(Error::new_spanned(other, refused)),
        },
    }
}

fn write(api: &ItemTrait, methods: &[Method<'_>]) -> TokenStream {
    let (name, visibility, attributes) = (&api.ident, &api.vis, &api.attrs);
    let handle = format_ident!("{name}Api");
    let twin = format_ident!("__{name}Boxed");
    let text = name.to_string();
    let handle_doc = format!(
        "A handle on the module behind [`{name}`]. Cloning is cheap. Whether the module runs in this process is not seen from here."
    );
    let direct_doc = format!("A handle that calls this `{name}` in this process.");
    let declared = methods.iter().map(Method::declared);
    let boxed = methods.iter().map(Method::boxed);
    let boxing = methods.iter().map(|method| method.boxing(name));
    let called = methods.iter().map(|method| method.called(&text));
    quote! {
        #(#attributes)*
        #visibility trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#declared)*
        }

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "no user writes this name")]
        trait #twin: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#boxed)*
        }

        impl<__Module: #name> #twin for __Module {
            #(#boxing)*
        }

        #[doc = #handle_doc]
        #[derive(::core::clone::Clone)]
        #visibility struct #handle {
            route: ::burgeon::api::Route<dyn #twin>,
        }

        impl #handle {
            #[doc = #direct_doc]
            #visibility fn direct(module: impl #name) -> Self {
                Self { route: ::burgeon::api::Route::Direct(::std::sync::Arc::new(module)) }
            }

            #(#called)*
        }

        impl ::core::fmt::Debug for #handle {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(::core::stringify!(#handle))
            }
        }

        impl ::burgeon::api::Api for #handle {
            const NAME: &'static str = #text;

            fn serialised(self) -> Self {
                Self { route: self.route.serialised() }
            }
        }
    }
}

impl Method<'_> {
    fn declared(&self) -> TokenStream {
        let Self { item, name, ctx, ctx_type, output, .. } = self;
        let attributes = &item.attrs;
        let (names, types) = self.given();
        quote! {
            #(#attributes)*
            fn #name(&self, #ctx: #ctx_type, #(#names: #types),*)
                -> impl ::core::future::Future<Output = #output> + ::core::marker::Send;
        }
    }

    /// The head of the boxed twin's method; every borrow lives as long as the call.
    fn boxed_head(&self) -> TokenStream {
        let Self { name, ctx, output, .. } = self;
        let ctx_type = with_lifetime(self.ctx_type);
        let names = self.arguments.iter().map(|argument| argument.name);
        let types = self.arguments.iter().map(|argument| with_lifetime(argument.given));
        quote! {
            fn #name<'__call>(&'__call self, #ctx: #ctx_type, #(#names: #types),*)
                -> ::burgeon::api::Called<'__call, #output>
        }
    }

    fn boxed(&self) -> TokenStream {
        let head = self.boxed_head();
        quote!(#head;)
    }

    fn boxing(&self, api: &Ident) -> TokenStream {
        let Self { name, ctx, .. } = self;
        let head = self.boxed_head();
        let (names, _) = self.given();
        quote! {
            #head {
                ::std::boxed::Box::pin(<__Module as #api>::#name(self, #ctx, #(#names),*))
            }
        }
    }

    fn called(&self, api: &str) -> TokenStream {
        let Self { item, name, ctx, ctx_type, output, .. } = self;
        let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        let call = format!("{api}.{name}");
        let (names, types) = self.given();
        let owned = self.arguments.iter().map(|argument| &argument.owned);
        let given_on = self.arguments.iter().map(
            |Argument { name, borrowed, .. }| {
                if *borrowed { quote!(&#name) } else { quote!(#name) }
            },
        );
        // At the place of the types, so that one that cannot be serialised is shown where it is written.
        let arguments_span = self.arguments.first().map_or_else(|| name.span(), |first| first.given.span());
        let arrive = quote_spanned! { arguments_span=>
            ::burgeon::api::arrive::<(#(#owned,)*)>(#ctx, #call, &(#(&#names,)*))?
        };
        let back = quote_spanned! { output.span()=>
            ::burgeon::api::back(#ctx, &__there, #call, __answer)
        };
        quote! {
            #(#docs)*
            pub async fn #name(&self, #ctx: #ctx_type, #(#names: #types),*) -> #output {
                match &self.route {
                    ::burgeon::api::Route::Direct(__module) => __module.#name(#ctx, #(#names),*).await,
                    ::burgeon::api::Route::Serialised(__module) => {
                        let (__there, (#(#names,)*)) = #arrive;
                        let __answer = __module.#name(&__there, #(#given_on),*).await;
                        #back
                    }
                }
            }
        }
    }

    fn given(&self) -> (Vec<&Ident>, Vec<&Type>) {
        self.arguments.iter().map(|argument| (argument.name, argument.given)).unzip()
    }
}

fn with_lifetime(given: &Type) -> TokenStream {
    match given {
        Type::Reference(reference) => {
            let inner = &reference.elem;
            quote!(&'__call #inner)
        }
        other => quote!(#other),
    }
}
