//! The view of a field for all templates.

use serde::Serialize;

use super::Specs;
use super::reference::{ReferenceView, reference};
use super::schema::{floating, grouped, literal, longest, shortest};
use super::table::{Check, Normalized, Taken, check, definition, normalized, taken};
use super::typed::{Typed, create, model, out, stored_type};
use super::wording::{article, ident, list, type_of, words};
use crate::domain::samples::{self, Sample};
use crate::domain::spec::{Field, Kind, Spec};

#[expect(clippy::struct_excessive_bools, reason = "the templates use each by name")]
#[derive(Clone, Serialize)]
pub(super) struct FieldView {
    name: String,
    pub(super) kind: &'static str,
    words: String,
    pub(super) column: String,
    ident: String,
    pub(super) variant: String,
    shown: String,
    shown_ident: String,
    doc: String,
    shown_doc: String,
    pub(super) optional: bool,
    pub(super) owner: bool,
    pub(super) unique: bool,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    model: Typed,
    create: Typed,
    out: Typed,
    /// The expressions of the service for a new row and for a changed one.
    created: String,
    changed: String,
    default_fn: Option<DefaultFn>,
    pub(super) normalized: Option<Normalized>,
    pub(super) reference: Option<ReferenceView>,
    taken: Option<Taken>,
    /// The definition of the column in the migration that creates the table, and in one that adds it to a table with rows.
    definition: String,
    type_words: String,
    rule_words: String,
    default_json: String,
    searched: bool,
    check: Option<Check>,
    pub(super) sample: Sample,
}

#[derive(Clone, Serialize)]
pub(super) struct DefaultFn {
    pub(super) name: String,
    value: String,
}

pub(super) fn field_view(spec: &Spec, field: &Field, specs: &Specs) -> FieldView {
    let column = field.column();
    let shown = field.shown();
    let sample = samples::sample(field, &words(&field.name));
    FieldView {
        name: field.name.clone(),
        kind: field.kind.word(),
        words: field_words(field),
        ident: ident(&column),
        variant: type_of(&column),
        shown_ident: ident(&shown),
        doc: doc(field),
        shown_doc: shown_doc(field),
        optional: field.optional,
        owner: field.owner,
        unique: field.unique,
        required: !field.optional && field.default.is_none(),
        default: field.default.clone(),
        model: model(spec, field),
        create: create(spec, field, &sample),
        out: out(spec, field, &sample),
        created: created(field),
        changed: changed(field),
        default_fn: default_fn(field),
        normalized: normalized(field),
        reference: reference(spec, field, specs),
        taken: taken(spec, field),
        definition: definition(field),
        type_words: type_words(spec, field),
        rule_words: rule_words(field),
        default_json: field.default.as_ref().map_or_else(String::new, |default| literal(field, default)),
        searched: field.search,
        check: check(spec, field),
        sample,
        column,
        shown,
    }
}

fn field_words(field: &Field) -> String {
    words(&field.name)
}

fn doc(field: &Field) -> String {
    let words = words(&field.name);
    let absent = if field.optional { ", if there is one" } else { "" };
    match &field.kind {
        Kind::Bool => format!("Whether it is {words}."),
        Kind::Ref(_) if field.owner => "Id of the owner.".to_owned(),
        Kind::Ref(domain) if self::words(domain) != words => {
            format!("Id of the {words}, {} {}{absent}.", article(&self::words(domain)), self::words(domain))
        }
        Kind::Ref(_) => format!("Id of the {words}{absent}."),
        Kind::Upload => format!("Id of the {words}, a completed upload of your own{absent}."),
        Kind::Decimal { scale, .. } => format!("The {words}{absent}: exact, with up to {scale} decimals."),
        _ => format!("The {words}{absent}."),
    }
}

fn shown_doc(field: &Field) -> String {
    match &field.kind {
        Kind::Upload => {
            let none = if field.optional { "; `null` without one" } else { "" };
            format!("The {}, with a URL that is valid for a short time{none}.", words(&field.name))
        }
        _ => doc(field),
    }
}

/// The conversion from the type in the body to that in the row; `None` if they are equal.
fn conversion(field: &Field) -> Option<&'static str> {
    match field.kind {
        Kind::String => Some("SingleLine::into_string"),
        Kind::Text => Some("MultiLine::into_string"),
        Kind::Email => Some("EmailAddress::into_string"),
        Kind::Url => Some("WebAddress::into_string"),
        Kind::Int => Some("Int::get"),
        Kind::BigInt => Some("BigInt::get"),
        Kind::Float => Some("decimal::plain_zero"),
        _ => None,
    }
}

fn created(field: &Field) -> String {
    let own = format!("new.{}", ident(&field.column()));
    match conversion(field) {
        _ if field.owner => "principal.require_user()?".to_owned(),
        None => own,
        Some(convert) if field.kind == Kind::Float && !field.optional => format!("{convert}({own})"),
        Some(convert) if field.optional => format!("{own}.map({convert})"),
        Some(convert) => format!("{own}.{}()", convert.rsplit("::").next().unwrap_or_default()),
    }
}

fn changed(field: &Field) -> String {
    let column = ident(&field.column());
    let own = format!("changes.{column}");
    let converted = match conversion(field) {
        None => own.clone(),
        Some(convert) => format!("{own}.map({convert})"),
    };
    match (&field.kind, field.optional) {
        (Kind::Json, true) => {
            format!("JsonObject::merged_or_cleared(current.{column}, {own}, \"/{}\")?", field.column())
        }
        (Kind::Json, false) => {
            format!("current.{column}.merged({own}, \"/{}\")?", field.column())
        }
        (_, true) => format!("{converted}.into_active()"),
        (_, false) => format!("set_if_some({converted})"),
    }
}

pub(super) fn default_fn(field: &Field) -> Option<DefaultFn> {
    let default = field.default.as_ref()?;
    let value = match &field.kind {
        Kind::Bool if default == "false" => return None,
        Kind::String | Kind::Text | Kind::Email | Kind::Url => format!("field::from_valid({default:?})"),
        Kind::Decimal { .. } => format!("const {{ Decimal::from_valid({default:?}) }}"),
        Kind::Date => format!("const {{ Date::from_valid({default:?}) }}"),
        Kind::Bool => default.clone(),
        Kind::Int => format!("const {{ Int::from_valid({}) }}", grouped(default)),
        Kind::BigInt => format!("const {{ BigInt::from_valid({}) }}", grouped(default)),
        Kind::Float => floating(default),
        // An enum has a default of its own, and for the others the parser takes none.
        Kind::Enum(_) | Kind::Timestamp | Kind::Uuid | Kind::Json | Kind::Ref(_) | Kind::Upload => {
            return None;
        }
    };
    Some(DefaultFn { name: format!("default_{}", field.column()), value })
}

fn type_words(spec: &Spec, field: &Field) -> String {
    match &field.kind {
        Kind::String | Kind::Email | Kind::Url => format!("{}, one line", field.kind.word()),
        Kind::Text => "text, several lines".to_owned(),
        Kind::Decimal { precision, scale } => {
            format!("decimal as a string, {precision} digits, {scale} after the point")
        }
        Kind::Enum(values) => format!(
            "one of {}",
            list(&values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>(), "and")
        ),
        Kind::Ref(domain) => format!("id of {} {}", article(&words(domain)), words(domain)),
        Kind::Upload => "id of a completed upload, and its presigned URL".to_owned(),
        Kind::Json => "JSON object".to_owned(),
        _ => stored_type(spec, field).to_lowercase(),
    }
}

fn rule_words(field: &Field) -> String {
    let mut rules = vec![if field.optional { "optional".to_owned() } else { "required".to_owned() }];
    if let Some(default) = &field.default {
        rules[0] = format!("`{default}` when absent");
    }
    let (min, max) = (field.range.min.as_deref(), field.range.max.as_deref());
    if field.is_text() {
        let min = shortest(field);
        let from = if min > 0 { format!("{min} to ") } else { "up to ".to_owned() };
        rules.push(format!("{from}{} characters", longest(field)));
    } else {
        rules.extend(match (min, max) {
            (Some(min), Some(max)) => Some(format!("{min} to {max}")),
            (Some(min), None) => Some(format!("at least {min}")),
            (None, Some(max)) => Some(format!("at most {max}")),
            (None, None) => None,
        });
    }
    if field.unique {
        rules.push("unique".to_owned());
    }
    rules.join(", ")
}
