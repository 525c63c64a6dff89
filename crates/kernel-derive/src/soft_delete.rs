//! `#[derive(SoftDelete)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Field, Ident, ItemStruct, Result};

/// What is written for a model.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let model: ItemStruct = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`SoftDelete` is derived for the model of a table, a struct")
    })?;
    if model.ident == "ModelEx" {
        return Ok(TokenStream::new());
    }
    let id = &field(&model, "id")?.ty;
    for name in ["version", "updated_at", "deleted_at"] {
        field(&model, name)?;
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::shared_kernel::soft_delete::SoftDelete for Entity {
            type Kind = <#id as ::shared_kernel::id::Typed>::Kind;
            const ID: Column = Column::Id;
            const VERSION: Column = Column::Version;
            const UPDATED_AT: Column = Column::UpdatedAt;
            const DELETED_AT: Column = Column::DeletedAt;
        }
    })
}

fn field<'m>(model: &'m ItemStruct, name: &str) -> Result<&'m Field> {
    let is_named = |ident: &Ident| ident == name;
    let found = model.fields.iter().find(|field| field.ident.as_ref().is_some_and(is_named));
    found.ok_or_else(|| {
        Error::new(
            model.ident.span(),
            format!("a row that is deleted softly has a column `{name}`, and this has none"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str =
        "struct Model { id: NoteId, version: i64, updated_at: Timestamp, deleted_at: Option<Timestamp> }";

    #[test]
    fn the_columns_are_found_by_name() {
        let written = expand(MODEL.parse().unwrap()).unwrap().to_string();
        assert!(
            written.contains("type Kind = < NoteId as :: shared_kernel :: id :: Typed > :: Kind ;"),
            "{written}"
        );
        assert_eq!(written.matches("Column ::").count(), 4, "{written}");
    }

    #[test]
    fn the_second_struct_of_sea_orm_gets_nothing() {
        let other = MODEL.replace("Model", "ModelEx");
        assert!(expand(other.parse().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = expand(MODEL.replace("deleted_at", "gone_at").parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a row that is deleted softly has a column `deleted_at`, and this has none"
        );
    }
}
