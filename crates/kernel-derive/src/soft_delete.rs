//! `#[derive(SoftDelete)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Field, Ident, ItemStruct, LitStr, Result, Token};

/// What is written for a model.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let model: ItemStruct = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`SoftDelete` is derived for the model of a table, a struct")
    })?;
    if model.ident == "ModelEx" {
        return Ok(TokenStream::new());
    }
    let id = &field(&model, "id")?.ty;
    for name in ["version", "created_at", "updated_at", "deleted_at"] {
        field(&model, name)?;
    }
    let table = table(&model)?;
    let from_columns = super::from_columns::implementation(&model);
    Ok(quote! {
        #from_columns

        #[automatically_derived]
        impl ::shared_kernel::soft_delete::Keyed for Entity {
            const ID: Column = Column::Id;
        }

        #[automatically_derived]
        impl ::shared_kernel::soft_delete::SoftDelete for Entity {
            type Kind = <#id as ::shared_kernel::id::Typed>::Kind;
            const TABLE: &'static str = #table;
            const VERSION: Column = Column::Version;
            const CREATED_AT: Column = Column::CreatedAt;
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

/// The name in `#[sea_orm(table_name = "notes")]`.
fn table(model: &ItemStruct) -> Result<LitStr> {
    let mut found = None;
    for attribute in model.attrs.iter().filter(|attribute| attribute.path().is_ident("sea_orm")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("table_name") {
                found = Some(meta.value()?.parse()?);
            } else if meta.input.peek(Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        })?;
    }
    found.ok_or_else(|| {
        Error::new(
            model.ident.span(),
            "the name of the table is missing: `#[sea_orm(table_name = \"notes\")]`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "#[sea_orm(table_name = \"notes\")] struct Model { id: NoteId, version: i64, created_at: Timestamp, updated_at: Timestamp, deleted_at: Option<Timestamp> }";

    #[test]
    fn the_columns_are_found_by_name() {
        let written = expand(MODEL.parse().unwrap()).unwrap().to_string();
        assert!(written.contains("const TABLE : & 'static str = \"notes\" ;"), "{written}");
        assert!(
            written.contains("type Kind = < NoteId as :: shared_kernel :: id :: Typed > :: Kind ;"),
            "{written}"
        );
        assert_eq!(written.matches("Column ::").count(), 5, "{written}");
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
