//! Detects fields that were written by hand into a generated domain and clash with a new field.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use syn::{Fields, Item};

use super::names::pascal;
use super::rules::parameters;
use super::spec::{Field, Kind, Spec};

/// The reason why the field can't be added: the model or a body already has a field of that name.
///
/// # Errors
///
/// A text is not valid Rust.
pub(crate) fn clash(spec: &Spec, field: &Field, model: &str, dto: &str) -> Result<Option<String>> {
    let own = pascal(&spec.name);
    let columns: BTreeSet<String> = field.normalized_column().into_iter().chain([field.column()]).collect();
    let shown: BTreeSet<String> = [field.column(), field.shown()].into();
    let asked: BTreeSet<String> = parameters(field).into_iter().collect();
    let places = [
        ("model.rs", model, "Model".to_owned(), columns),
        ("dto.rs", dto, own.clone(), shown.clone()),
        ("dto.rs", dto, format!("Create{own}"), shown.clone()),
        ("dto.rs", dto, format!("Update{own}"), shown),
        ("dto.rs", dto, format!("{own}Filter"), asked),
    ];
    for (file, text, name, wanted) in places {
        let has = members(text, &name).with_context(|| format!("in src/{file}"))?;
        if let Some(there) = wanted.iter().find(|wanted| has.contains(*wanted)) {
            return Ok(Some(format!("`{name}` in crates/{}/src/{file} already has `{there}`", spec.name)));
        }
    }
    let choice = format!("{own}{}", pascal(&field.name));
    if matches!(field.kind, Kind::Enum(_)) && types(dto)?.contains(&choice) {
        return Ok(Some(format!("crates/{}/src/dto.rs already has a type `{choice}`", spec.name)));
    }
    Ok(None)
}

/// The fields of a struct, without the underscore after a keyword.
fn members(text: &str, name: &str) -> Result<BTreeSet<String>> {
    let file = syn::parse_file(text).context("it can't be parsed")?;
    let mut found = BTreeSet::new();
    for item in file.items {
        let Item::Struct(item) = item else { continue };
        if item.ident != name {
            continue;
        }
        if let Fields::Named(fields) = item.fields {
            let names = fields.named.into_iter().filter_map(|field| field.ident);
            found.extend(
                names.map(|name| name.to_string().trim_start_matches("r#").trim_end_matches('_').to_owned()),
            );
        }
    }
    Ok(found)
}

fn types(text: &str) -> Result<BTreeSet<String>> {
    let file = syn::parse_file(text).context("it can't be parsed")?;
    let names = file.items.into_iter().filter_map(|item| match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        _ => None,
    });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grammar;

    const MODEL: &str =
        "pub struct Model { pub id: u8, pub edited_at: u8, pub type_: u8, pub name_normalized: u8 }";
    const DTO: &str = "pub struct Comment { pub cover: u8 } pub struct CreateComment { pub note: u8 }
        pub struct CommentFilter { pub q: u8, pub price_min: u8 } pub enum CommentColor { Red }";

    fn told(field: &str) -> Option<String> {
        let spec = Spec {
            name: "comment".into(),
            plural: "comments".into(),
            prefix: "cmt".into(),
            public_read: false,
            admin_only: false,
            events: true,
            fields: Vec::new(),
        };
        clash(&spec, &grammar::parse(field).unwrap(), MODEL, DTO).unwrap()
    }

    #[test]
    fn what_is_there_by_hand_is_told() {
        for (field, place) in [
            (
                "edited_at:timestamp:optional",
                "`Model` in crates/comment/src/model.rs already has `edited_at`",
            ),
            ("type:string:optional", "`Model` in crates/comment/src/model.rs already has `type`"),
            (
                "name:string:optional:search",
                "`Model` in crates/comment/src/model.rs already has `name_normalized`",
            ),
            ("cover:upload:optional", "`Comment` in crates/comment/src/dto.rs already has `cover`"),
            ("note:text:optional", "`CreateComment` in crates/comment/src/dto.rs already has `note`"),
            (
                "price:int:optional:filter",
                "`CommentFilter` in crates/comment/src/dto.rs already has `price_min`",
            ),
            ("color:enum=red:optional", "crates/comment/src/dto.rs already has a type `CommentColor`"),
        ] {
            let told = told(field).unwrap_or_default();
            assert!(told.starts_with(place), "{field}: {told}");
        }
    }

    #[test]
    fn what_is_new_is_free() {
        for field in ["title:string:optional", "price:int:optional", "q:int:optional", "name:string:optional"]
        {
            assert_eq!(told(field), None, "{field}");
        }
    }
}
