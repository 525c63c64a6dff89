//! The references of a domain: to rows of other domains, to its own rows, and to uploads.

use serde::Serialize;

use super::Specs;
use super::wording::{ident, route, type_of, words};
use crate::domain::spec::{Field, Kind, OnDelete, Spec};

#[derive(Clone, Serialize)]
pub(super) struct ReferenceView {
    pub(super) domain: String,
    table: String,
    pub(super) prefix: String,
    words: String,
    /// The type of the target's id kind in the tests of this crate.
    kind_path: String,
    pub(super) is_self: bool,
    /// Column in which a row agrees with the one of the same domain that it refers to.
    pub(super) within: Option<String>,
    /// Whether the target is not visible to all users.
    private: bool,
    route: String,
    on_delete: &'static str,
    /// The action of the foreign key, which applies to rows that are permanently deleted.
    foreign_key: &'static str,
    rule: String,
    consequence: &'static str,
    constraint: String,
    /// The id to which a new row or a change refers, if any.
    created: String,
    changed: String,
}

/// A generated domain that another one builds on, because it has the ids of its rows.
#[derive(Serialize)]
pub(super) struct Foreign {
    pub(super) name: String,
    #[serde(rename = "Type")]
    type_name: String,
}

pub(super) fn reference(spec: &Spec, field: &Field, specs: &Specs) -> Option<ReferenceView> {
    let (domain, table, prefix) = match &field.kind {
        Kind::Upload => ("upload".to_owned(), "uploads".to_owned(), "upl".to_owned()),
        Kind::Ref(domain) if domain == "user" => (domain.clone(), "users".to_owned(), "usr".to_owned()),
        Kind::Ref(domain) => {
            let target = specs.get(domain);
            let table = target.map_or_else(|| format!("{domain}s"), |target| target.plural.clone());
            (domain.clone(), table, target.map_or_else(String::new, |target| target.prefix.clone()))
        }
        _ => return None,
    };
    let own = ident(&field.column());
    let rule = field.on_delete.unwrap_or(OnDelete::Restrict);
    let target = specs.get(&domain);
    Some(ReferenceView {
        words: words(&domain),
        kind_path: match domain.as_str() {
            "user" => "shared_kernel::id::UserKind".to_owned(),
            "upload" => "upload_port::UploadKind".to_owned(),
            _ => format!("{domain}::dto::{}Kind", type_of(&domain)),
        },
        is_self: domain == spec.name,
        within: field.within.as_ref().and_then(|name| spec.field(name)).map(Field::column),
        private: target.is_some_and(|target| !target.public_read && target.owner().is_some()),
        route: target.map(route).unwrap_or_default(),
        consequence: match rule {
            OnDelete::Cascade => "the row is deleted too",
            OnDelete::Restrict => "the deletion is rejected with 409 `still_referenced`",
            OnDelete::SetNull => "the field becomes `null`",
        },
        domain,
        table,
        prefix,
        on_delete: match rule {
            OnDelete::Cascade => "Cascade",
            OnDelete::Restrict => "Restrict",
            OnDelete::SetNull => "SetNull",
        },
        foreign_key: match rule {
            OnDelete::Cascade => "Cascade",
            OnDelete::SetNull => "SetNull",
            // Uploads are removed for good some time after they were deleted, which happens only when no living row has them: a
            // deleted row that still does must not keep their space for ever.
            OnDelete::Restrict if field.kind == Kind::Upload && field.optional => "SetNull",
            OnDelete::Restrict if field.kind == Kind::Upload => "Cascade",
            OnDelete::Restrict => "Restrict",
        },
        rule: rule.to_string(),
        constraint: format!("{}_{}_fkey", spec.plural, field.column()),
        created: if field.optional { format!("new.{own}") } else { format!("Some(new.{own})") },
        changed: if field.optional {
            format!("changes.{own}.value().copied()")
        } else {
            format!("changes.{own}")
        },
    })
}

pub(super) fn foreign(spec: &Spec) -> Vec<Foreign> {
    let foreign = |name: String| Foreign { type_name: type_of(&name), name };
    spec.builds_on().into_iter().map(foreign).collect()
}
