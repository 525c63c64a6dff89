//! `#[derive(MergePatch)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Field, GenericArgument, Ident, ItemStruct, Meta, PathArguments, Result, Token, Type,
};

/// What is written for the body that makes a row: the body that changes one.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let body: ItemStruct = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`MergePatch` is derived for a struct with named fields")
    })?;
    let name = name(&body)?;
    let visibility = &body.vis;
    let of = words(&name.to_string());
    let doc = format!("A change of {of}: a JSON merge patch (RFC 7396).");
    let fields = body.fields.iter().map(field).collect::<Result<Vec<_>>>()?;
    let own = &body.ident;
    let names: Vec<_> = body.fields.iter().map(|field| &field.ident).collect();
    Ok(quote! {
        #[automatically_derived]
        impl ::core::convert::From<#own> for #name {
            fn from(all: #own) -> Self {
                Self { #(#names: all.#names.into(),)* }
            }
        }

        #[doc = #doc]
        #[derive(Clone, Debug, Default, ::serde::Deserialize, ::garde::Validate, ::utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        #[garde(allow_unvalidated)]
        #visibility struct #name {
            #(#fields,)*
        }
    })
}

/// The name in `#[merge_patch(UpdatePost)]`; `UpdatePost` for `CreatePost` where there is none.
fn name(body: &ItemStruct) -> Result<Ident> {
    let own = body.ident.to_string();
    match body.attrs.iter().find(|attribute| attribute.path().is_ident("merge_patch")) {
        Some(attribute) => attribute.parse_args(),
        None => own.strip_prefix("Create").map(|rest| format_ident!("Update{rest}")).ok_or_else(|| {
            Error::new(
                body.ident.span(),
                "the name of the patch is missing: `#[merge_patch(UpdatePost)]`, or call this `Create…`",
            )
        }),
    }
}

/// `a blog post` of `UpdateBlogPost`.
fn words(name: &str) -> String {
    let name = name.strip_prefix("Update").unwrap_or(name);
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    let article = if words.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {words}")
}

/// A field that may be left out: a `Patch<T>` where it may be empty, an `Option<T>` that refuses `null` where not.
fn field(field: &Field) -> Result<TokenStream> {
    let (ident, visibility) = (&field.ident, &field.vis);
    let inner = inside_option(&field.ty);
    let docs = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let rename = kept(field, "serde", |meta| meta.path().is_ident("rename"))?;
    let schema =
        kept(field, "schema", |meta| !meta.path().is_ident("required") && !meta.path().is_ident("default"))?;
    let rules = rules(field, inner.is_some())?;
    let (serde, shown, held) = if let Some(inner) = inner {
        let held = quote!(::shared_kernel::patch::Patch<#inner>);
        (quote!(default), quote!(value_type = Option<#inner>), held)
    } else {
        let own = &field.ty;
        let held = quote!(::core::option::Option<#own>);
        let serde = quote!(default, deserialize_with = "::shared_kernel::patch::required");
        (serde, quote!(nullable = false), held)
    };
    Ok(quote! {
        #(#docs)*
        #[serde(#serde #(, #rename)*)]
        #[schema(#shown #(, #schema)*)]
        #rules
        #visibility #ident: #held
    })
}

/// What stands in the attribute of that name and is wanted.
fn kept(field: &Field, name: &str, wanted: impl Fn(&Meta) -> bool) -> Result<Vec<Meta>> {
    let mut found = Vec::new();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident(name)) {
        found.extend(metas(attribute)?.into_iter().filter(&wanted));
    }
    Ok(found)
}

fn metas(attribute: &Attribute) -> Result<Punctuated<Meta, Token![,]>> {
    let list = attribute.meta.require_list()?;
    Punctuated::parse_terminated.parse2(list.tokens.clone())
}

/// The rules of garde, which hold for the value where there is one.
fn rules(field: &Field, is_optional: bool) -> Result<TokenStream> {
    let Some(attribute) = field.attrs.iter().find(|attribute| attribute.path().is_ident("garde")) else {
        return Ok(TokenStream::new());
    };
    let rules = &attribute.meta.require_list()?.tokens;
    let is_plain = ["skip", "dive"].contains(&rules.to_string().as_str());
    Ok(if is_optional || is_plain { quote!(#[garde(#rules)]) } else { quote!(#[garde(inner(#rules))]) })
}

/// `T` of `Option<T>`.
fn inside_option(of: &Type) -> Option<&Type> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(item: &str) -> String {
        let expanded = expand(item.parse().unwrap()).unwrap();
        expanded.to_string().split_whitespace().collect::<String>()
    }

    #[test]
    fn a_field_that_may_be_empty_can_be_cleared_and_another_cannot() {
        let written = written(
            "pub struct CreateBlogPost {
                /// Its title.
                #[garde(dive)] #[serde(rename = \"type\", default = \"none\")] pub title: SingleLine<1, 9>,
                #[garde(inner(custom(positive)))] pub price: Option<Money>,
                #[garde(custom(positive))] #[schema(required = false, default = 1.0, examples(2.0))] pub rate: f64,
            }",
        );
        for expected in [
            "impl::core::convert::From<CreateBlogPost>forUpdateBlogPost{",
            "Self{title:all.title.into(),price:all.price.into(),rate:all.rate.into(),}",
            "pubstructUpdateBlogPost{",
            "Achangeofablogpost:",
            "#[doc=\"Itstitle.\"]",
            "#[serde(default,deserialize_with=\"::shared_kernel::patch::required\",rename=\"type\")]#[schema(nullable=false)]#[garde(dive)]pubtitle:::core::option::Option<SingleLine<1,9>>,",
            "#[serde(default)]#[schema(value_type=Option<Money>)]#[garde(inner(custom(positive)))]pubprice:::shared_kernel::patch::Patch<Money>,",
            "#[schema(nullable=false,examples(2.0))]#[garde(inner(custom(positive)))]pubrate:::core::option::Option<f64>,",
        ] {
            assert!(written.contains(expected), "{expected} is not in {written}");
        }
    }

    #[test]
    fn another_name_can_be_given_and_must_where_none_follows() {
        assert!(written("#[merge_patch(Change)] struct New {}").contains("structChange{"));
        let error = expand("struct New {}".parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("the name of the patch is missing"), "{error}");
    }
}
