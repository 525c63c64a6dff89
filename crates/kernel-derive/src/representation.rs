//! `#[derive(Representation)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Ident, ItemStruct, Result};

/// What is written for what the API shows of a row.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let shown: ItemStruct = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`Representation` is derived for a struct with named fields")
    })?;
    for name in ["id", "version"] {
        let is_named = |ident: &Ident| ident == name;
        if !shown.fields.iter().any(|field| field.ident.as_ref().is_some_and(is_named)) {
            let message = format!("what shows a row has a field `{name}`, and this has none");
            return Err(Error::new(shown.ident.span(), message));
        }
    }
    let mut holds_signed_urls = false;
    for attribute in shown.attrs.iter().filter(|attribute| attribute.path().is_ident("representation")) {
        let word: Ident = attribute.parse_args()?;
        if word != "signed_urls" {
            return Err(Error::new(word.span(), "all that can be said here is `signed_urls`"));
        }
        holds_signed_urls = true;
    }
    let name = &shown.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::shared_kernel::repository::Representation for #name {
            const HOLDS_SIGNED_URLS: bool = #holds_signed_urls;

            fn revision(&self) -> ::shared_kernel::repository::Revision {
                ::shared_kernel::repository::Revision::new(self.id, self.version)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(item: &str) -> String {
        match expand(item.parse().unwrap()) {
            Ok(written) => written.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn signed_urls_are_said_and_nothing_else_can_be() {
        assert!(
            told("struct Note { id: NoteId, version: i64 }").contains("HOLDS_SIGNED_URLS : bool = false")
        );
        let with = "#[representation(signed_urls)] struct Note { id: NoteId, version: i64 }";
        assert!(told(with).contains("HOLDS_SIGNED_URLS : bool = true"));
        assert!(told(&with.replace("signed", "secret")).starts_with("all that can be said"));
        assert!(told("struct Note { id: NoteId }").contains("a field `version`"));
    }
}
