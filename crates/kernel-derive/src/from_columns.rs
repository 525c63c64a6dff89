//! `#[derive(FromColumns)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemStruct, Result};

/// What is written for a model.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let model: ItemStruct = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`FromColumns` is derived for the model of a table, a struct")
    })?;
    if model.ident == "ModelEx" {
        return Ok(TokenStream::new());
    }
    Ok(implementation(&model))
}

/// The implementation. The fields are read in their order, which is that of the columns of the entity.
pub(crate) fn implementation(model: &ItemStruct) -> TokenStream {
    let name = &model.ident;
    let fields = model.fields.iter().enumerate().map(|(position, field)| {
        let ident = &field.ident;
        quote! { #ident: row.try_get_by_index(first + #position)? }
    });
    quote! {
        #[automatically_derived]
        impl ::shared_kernel::from_columns::FromColumns for #name {
            fn from_columns(row: &::sea_orm::QueryResult, first: usize) -> Result<Self, ::sea_orm::DbErr> {
                Ok(Self { #(#fields,)* })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_their_order() {
        let model = "struct Model { id: NoteId, r#type: String }";
        let written = expand(model.parse().unwrap()).unwrap().to_string();
        let read = "Ok (Self { id : row . try_get_by_index (first + 0usize) ? , r#type : row . try_get_by_index (first + 1usize) ? , })";
        assert!(written.contains(read), "{written}");
    }

    #[test]
    fn the_second_struct_of_sea_orm_gets_nothing() {
        assert!(expand("struct ModelEx { id: NoteId }".parse().unwrap()).unwrap().is_empty());
    }
}
