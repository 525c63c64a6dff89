//! The table: its columns, including those with normalized text, and their checks, keys and indexes.

use std::collections::BTreeSet;

use serde::Serialize;
use unicase::UniCase;

use super::schema::{floating, grouped, long, longest};
use super::wording::{ident, type_of};
use crate::domain::names::constant_of;
use crate::domain::spec::{Field, Kind, Spec};

#[derive(Clone, Serialize)]
pub(super) struct Normalized {
    column: String,
    pub(super) variant: String,
    definition: String,
    created: String,
    changed: String,
}

#[derive(Clone, Serialize)]
pub(super) struct Taken {
    variant: String,
    constant: String,
    code: String,
    constraint: String,
}

#[derive(Clone, Serialize)]
pub(super) struct Check {
    name: String,
    expression: String,
}

#[derive(Clone, Serialize)]
pub(super) struct Index {
    name: String,
    column: String,
    unique: bool,
    /// The column of the owner, if every list contains the rows of one owner.
    scope: Option<String>,
}

pub(super) fn normalized(field: &Field) -> Option<Normalized> {
    let column = field.normalized_column()?;
    let own = ident(&field.column());
    // An e-mail address is only compared; any other text is searched and sorted.
    let (created, changed) = match (field.kind == Kind::Email, field.optional) {
        (true, true) => (
            format!("new.{own}.as_ref().map(|email| email.normalized().to_owned())"),
            format!("changes.{own}.clone().map(|email| email.normalized().to_owned()).into_active()"),
        ),
        (true, false) => (
            format!("new.{own}.normalized().to_owned()"),
            format!("set_if_some(changes.{own}.as_ref().map(|email| email.normalized().to_owned()))"),
        ),
        (false, true) => (
            format!("new.{own}.as_deref().map(folded)"),
            format!("changes.{own}.clone().map(|text| folded(&text)).into_active()"),
        ),
        (false, false) => {
            (format!("folded(&new.{own})"), format!("set_if_some(changes.{own}.as_deref().map(folded))"))
        }
    };
    let null = if field.optional { "" } else { ".not_null()" };
    let default = field.default.as_ref().map_or_else(String::new, |default| {
        format!(".default({:?})", UniCase::new(default).to_folded_case())
    });
    Some(Normalized {
        variant: type_of(&column),
        definition: format!("ColumnDef::new(\"{column}\").text(){null}{default}"),
        column,
        created,
        changed,
    })
}

pub(super) fn taken(spec: &Spec, field: &Field) -> Option<Taken> {
    let column = field.column();
    let compared =
        if field.kind == Kind::Email { format!("{}_normalized", field.name) } else { column.clone() };
    let variant = format!("{}Taken", type_of(&column));
    field.unique.then(|| Taken {
        constant: constant_of(&variant),
        variant,
        code: format!("{}_{column}_taken", spec.name),
        constraint: format!("{}_{compared}_key", spec.plural),
    })
}

/// A column in a migration. It will be released, so it must not use types of the code.
pub(super) fn definition(field: &Field) -> String {
    let column = field.column();
    let new = format!("ColumnDef::new(\"{column}\")");
    let null = if field.optional { "" } else { ".not_null()" };
    let default = field
        .default
        .as_ref()
        .map_or_else(String::new, |default| format!(".default({})", database_literal(field, default)));
    let plain = |kind: String| format!("{new}.{kind}{null}{default}");
    match &field.kind {
        Kind::Text => plain("text()".into()),
        Kind::Bool => plain("boolean()".into()),
        Kind::Int => plain("integer()".into()),
        Kind::BigInt => plain("big_integer()".into()),
        Kind::Decimal { precision, scale } => plain(format!("decimal_len({precision}, {scale})")),
        Kind::Float => plain("double()".into()),
        Kind::Date => plain("date()".into()),
        Kind::Timestamp if default.is_empty() => {
            let function = if field.optional { "optional_timestamp" } else { "timestamp" };
            format!("{function}(\"{column}\")")
        }
        Kind::Timestamp => plain("timestamp_with_time_zone()".into()),
        Kind::Uuid => plain("uuid()".into()),
        Kind::Json => plain("json_binary()".into()),
        Kind::String | Kind::Email | Kind::Url => {
            plain(format!("string_len({})", grouped(&longest(field).to_string())))
        }
        Kind::Enum(_) => plain("string_len(30)".into()),
        Kind::Ref(_) | Kind::Upload if field.optional => plain("string_len(30)".into()),
        Kind::Ref(_) | Kind::Upload => format!("id(\"{column}\")"),
    }
}

fn database_literal(field: &Field, default: &str) -> String {
    match field.kind {
        Kind::Bool => default.to_owned(),
        Kind::Int => grouped(default),
        Kind::BigInt => long(default),
        Kind::Float => floating(default),
        Kind::Decimal { .. } => format!("Expr::cust(\"{default}\")"),
        _ => format!("{default:?}"),
    }
}

pub(super) fn checks(spec: &Spec, fields: &[Field]) -> Vec<Check> {
    fields.iter().filter_map(|field| check(spec, field)).collect()
}

pub(super) fn check(spec: &Spec, field: &Field) -> Option<Check> {
    let column = field.column();
    let own = format!("Expr::col(\"{column}\")");
    let expression = match &field.kind {
        Kind::Enum(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
            format!("{own}.is_in([{}])", values.join(", "))
        }
        Kind::Int | Kind::BigInt | Kind::Float | Kind::Decimal { .. } => {
            let bound = |text: &str| match field.kind {
                Kind::Float => floating(text),
                Kind::Decimal { .. } => format!("Expr::cust(\"{text}\")"),
                Kind::BigInt => long(text),
                _ => grouped(text),
            };
            let min = field.range.min.as_deref().map(|min| format!("{own}.gte({})", bound(min)));
            let max = field.range.max.as_deref().map(|max| format!("{own}.lte({})", bound(max)));
            match (min, max) {
                (Some(min), Some(max)) => format!("{min}.and({max})"),
                (one, other) => one.or(other)?,
            }
        }
        _ => return None,
    };
    Some(Check { name: format!("{}_{column}_check", spec.plural), expression })
}

pub(super) fn indexes(spec: &Spec, fields: &[Field]) -> Vec<Index> {
    let scope = spec.owner().filter(|_| !spec.public_read).map(Field::column);
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    for field in fields {
        let unique = unique_column(field);
        made.extend(unique.clone().map(|column| Index {
            name: format!("{}_{column}_key", spec.plural),
            column,
            unique: true,
            scope: None,
        }));
        let is_reference = matches!(field.kind, Kind::Ref(_) | Kind::Upload);
        let columns = indexed_columns(field).filter(|column| is_reference || Some(column) != unique.as_ref());
        for column in columns.filter(|column| seen.insert(column.clone())) {
            // A deletion searches the references of all rows, of any owner.
            let of_all = scope.is_none() || is_reference;
            // A list contains the rows of one owner.
            let of_one = scope.clone().filter(|_| !is_reference || field.filter && !field.owner);
            let scopes = of_all.then_some(None).into_iter().chain(of_one.map(Some));
            made.extend(scopes.map(|scope| Index::of_list(spec, column.clone(), scope)));
        }
    }
    made
}

/// The names of the indexes that a field has.
pub(crate) fn index_names(spec: &Spec, field: &Field) -> impl Iterator<Item = String> {
    indexes(spec, std::slice::from_ref(field)).into_iter().map(|index| index.name)
}

impl Index {
    /// The index for lists in which this column has one value or is sorted by.
    fn of_list(spec: &Spec, column: String, scope: Option<String>) -> Self {
        let name = scope.iter().chain([&column]).fold(spec.plural.clone(), |name, part| name + "_" + part);
        Self { name: format!("{name}_id_idx"), column, unique: false, scope }
    }
}

/// The column with the unique values, which is also used for lookups.
fn unique_column(field: &Field) -> Option<String> {
    let column =
        if field.kind == Kind::Email { format!("{}_normalized", field.name) } else { field.column() };
    field.unique.then_some(column)
}

/// The columns by which rows are sorted and looked up.
fn indexed_columns(field: &Field) -> impl Iterator<Item = String> {
    let column = field.column();
    let shadow = field.normalized_column();
    let looked_up = field.filter || field.index || matches!(field.kind, Kind::Ref(_) | Kind::Upload);
    let sorted = field.sort.then(|| shadow.clone().unwrap_or_else(|| column.clone()));
    let filtered = looked_up
        .then(|| if field.kind == Kind::Email { shadow } else { None }.unwrap_or_else(|| column.clone()));
    sorted.into_iter().chain(filtered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grammar;

    fn names(owner: &str, public_read: bool) -> Vec<String> {
        let fields = [
            "slug:string:1..50:unique:filter",
            "due:date:sort",
            "about:ref=thing",
            "topic:ref=thing:filter",
            owner,
        ];
        let spec = Spec {
            name: "post".into(),
            plural: "posts".into(),
            prefix: "pst".into(),
            public_read,
            admin_only: false,
            events: true,
            fields: fields.map(|field| grammar::parse(field).unwrap()).to_vec(),
        };
        indexes(&spec, &spec.fields).into_iter().map(|index| index.name).collect()
    }

    #[test]
    fn lists_of_ones_own_have_indexes_that_begin_with_the_owner() {
        let own = names("author:ref=user:owner", false);
        let scoped = [
            "posts_slug_key",
            "posts_author_id_due_id_idx",
            "posts_about_id_id_idx",
            "posts_topic_id_id_idx",
            "posts_author_id_topic_id_id_idx",
            "posts_author_id_id_idx",
        ];
        assert_eq!(own, scoped);
        let public = names("author:ref=user:owner", true);
        let unscoped = [
            "posts_slug_key",
            "posts_due_id_idx",
            "posts_about_id_id_idx",
            "posts_topic_id_id_idx",
            "posts_author_id_id_idx",
        ];
        assert_eq!(public, unscoped);
    }
}
