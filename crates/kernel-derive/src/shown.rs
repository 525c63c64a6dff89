//! `#[derive(Shown)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Field, Ident, ItemStruct, Meta, Path, Result, Token, parenthesized};

/// What `#[shown(…)]` on a model says.
struct Said {
    what: Path,
    later: Vec<Ident>,
}

/// What is written for a model.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let model: ItemStruct = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "`Shown` is derived for the model of a table, a struct"))?;
    // sea-orm derives the same for a second struct.
    if model.ident == "ModelEx" {
        return Ok(TokenStream::new());
    }
    let attribute = model.attrs.iter().find(|attribute| attribute.path().is_ident("shown"));
    let missing = || Error::new(model.ident.span(), "as what it is shown is missing: `#[shown(as Note)]`");
    let Said { what, later } = said(attribute.ok_or_else(missing)?)?;
    let mut columns = Vec::new();
    for field in &model.fields {
        let is_deletion = field.ident.as_ref().is_some_and(|ident| ident == "deleted_at");
        if !is_deletion && !is_skipped(field)? {
            columns.extend(&field.ident);
        }
    }
    let row = &model.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::core::convert::From<#row> for #what {
            fn from(row: #row) -> Self {
                Self {
                    #(#columns: row.#columns,)*
                    #(#later: ::core::default::Default::default(),)*
                }
            }
        }
    })
}

/// `as Note, later(cover)`.
fn said(attribute: &Attribute) -> Result<Said> {
    attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
        input.parse::<Token![as]>()?;
        let what = input.parse()?;
        let mut later = Vec::new();
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let word: Ident = input.parse()?;
            if word != "later" {
                return Err(Error::new(word.span(), "all that can be said here is `later(…)`"));
            }
            let names;
            parenthesized!(names in input);
            later.extend(Punctuated::<Ident, Token![,]>::parse_terminated(&names)?);
        }
        Ok(Said { what, later })
    })
}

/// Whether it says `#[shown(skip)]`.
fn is_skipped(field: &Field) -> Result<bool> {
    let Some(attribute) = field.attrs.iter().find(|attribute| attribute.path().is_ident("shown")) else {
        return Ok(false);
    };
    let word: Meta = attribute.parse_args()?;
    if word.path().is_ident("skip") {
        Ok(true)
    } else {
        Err(Error::new_spanned(word, "all that can be said of a column is `skip`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(item: &str) -> String {
        match expand(item.parse().unwrap()) {
            Ok(written) => written.to_string().split_whitespace().collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn columns_are_shown_unless_they_are_skipped() {
        let fields = "{ id: NoteId, deleted_at: Option<Timestamp>, title: String, #[shown(skip)] title_normalized: String }";
        assert!(
            told(&format!("#[shown(as Note)] struct Model {fields}"))
                .contains("Self{id:row.id,title:row.title,}")
        );
        let later = told(&format!("#[shown(as Note, later(cover))] struct Model {fields}"));
        assert!(later.contains("title:row.title,cover:::core::default::Default::default(),}"), "{later}");
        assert_eq!(told(&format!("#[shown(as Note)] struct ModelEx {fields}")), "");
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        assert!(told("struct Model { id: NoteId }").starts_with("as what it is shown is missing"));
        assert!(
            told("#[shown(as Note, soon(a))] struct Model { id: NoteId }")
                .starts_with("all that can be said here")
        );
        let column = "#[shown(as Note)] struct Model { #[shown(hide)] id: NoteId }";
        assert!(told(column).starts_with("all that can be said of a column"));
    }
}
