//! The Rust types of a field with their attributes: in a row, in the bodies that create and change it, and in the response.

use serde::Serialize;

use super::field::default_fn;
use super::schema::{attribute, garde, grouped, literal, longest, schema, serde_attribute, shortest};
use super::wording::{article, type_of, words};
use crate::domain::names;
use crate::domain::samples::Sample;
use crate::domain::spec::{Field, Kind, Spec};

#[derive(Clone, Default, Serialize)]
pub(super) struct Typed {
    #[serde(rename = "type")]
    type_name: String,
    attributes: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Choice {
    #[serde(rename = "type")]
    pub(super) type_name: String,
    doc: String,
    default: bool,
    values: Vec<ChoiceValue>,
}

#[derive(Serialize)]
struct ChoiceValue {
    value: String,
    variant: String,
    rename: bool,
    default: bool,
}

/// The type in a row, without the `Option`.
pub(super) fn stored_type(spec: &Spec, field: &Field) -> String {
    match &field.kind {
        Kind::Enum(_) => choice_type(spec, field),
        kind => type_of_kind(kind),
    }
}

/// The type that stores a value, except that of an enum, which has a type of its own.
pub(crate) fn type_of_kind(kind: &Kind) -> String {
    match kind {
        Kind::String | Kind::Text | Kind::Email | Kind::Url | Kind::Enum(_) => "String".into(),
        Kind::Bool => "bool".into(),
        Kind::Int => "i32".into(),
        Kind::BigInt => "i64".into(),
        Kind::Decimal { precision, scale } => format!("Decimal<{precision}, {scale}>"),
        Kind::Float => "f64".into(),
        Kind::Date => "Date".into(),
        Kind::Timestamp => "Timestamp".into(),
        Kind::Uuid => "Uuid".into(),
        Kind::Json => "JsonObject".into(),
        Kind::Ref(domain) => format!("{}Id", type_of(domain)),
        Kind::Upload => "UploadId".into(),
    }
}

/// The type in a body, without the `Option`: a type that contains the rule of the field.
pub(super) fn body_type(spec: &Spec, field: &Field) -> String {
    let max = || grouped(&longest(field).to_string());
    let range = &field.range;
    let bounded = |name: &str, any: &str, (lowest, highest): (&str, &str)| {
        let bound = |bound: &Option<String>, default: &str| {
            bound.as_deref().map_or(default.to_owned(), bound_in_type)
        };
        if range.min.is_none() && range.max.is_none() {
            any.to_owned()
        } else {
            format!("{name}<{}, {}>", bound(&range.min, lowest), bound(&range.max, highest))
        }
    };
    match &field.kind {
        Kind::String => format!("SingleLine<{}, {}>", grouped(&shortest(field).to_string()), max()),
        Kind::Text => format!("MultiLine<{}, {}>", grouped(&shortest(field).to_string()), max()),
        Kind::Email if range.max.is_some() => format!("EmailAddress<{}>", max()),
        Kind::Email => "Email".into(),
        Kind::Url if range.max.is_some() => format!("WebAddress<{}>", max()),
        Kind::Url => "WebUrl".into(),
        Kind::Int => bounded("Int", "AnyInt", ("{ i32::MIN }", "{ i32::MAX }")),
        Kind::BigInt => bounded("BigInt", "SafeInt", ("{ -SAFE }", "{ SAFE }")),
        _ => stored_type(spec, field),
    }
}

/// A bound as a parameter of a type.
fn bound_in_type(digits: &str) -> String {
    if digits.starts_with('-') { format!("{{ {} }}", grouped(digits)) } else { grouped(digits) }
}

/// The type in a filter, without the `Option`: any value of the type, without the rules of the field.
pub(super) fn filter_type(spec: &Spec, field: &Field) -> String {
    match &field.kind {
        Kind::String | Kind::Text | Kind::Email => {
            format!("SingleLine<1, {}>", grouped(&longest(field).to_string()))
        }
        Kind::Url => "WebUrl".into(),
        Kind::Int => "AnyInt".into(),
        Kind::BigInt => "SafeInt".into(),
        _ => stored_type(spec, field),
    }
}

pub(super) fn optional(type_name: String, optional: bool) -> String {
    if optional { format!("Option<{type_name}>") } else { type_name }
}

pub(super) fn model(spec: &Spec, field: &Field) -> Typed {
    let column = field.column();
    let mut attributes = Vec::new();
    if names::is_keyword(&column) {
        // The name of a column is a variant of an enum, where only `Self` is a keyword.
        let name = if column == "self" { ", enum_name = \"SelfColumn\"" } else { "" };
        attributes.push(format!("#[sea_orm(column_name = \"{column}\"{name})]"));
    }
    Typed { type_name: optional(stored_type(spec, field), field.optional), attributes }
}

pub(super) fn create(spec: &Spec, field: &Field, sample: &Sample) -> Typed {
    let mut attributes: Vec<String> = garde(field, field.optional).into_iter().collect();
    let default = match (&field.default, default_fn(field)) {
        (None, _) => None,
        (Some(_), None) => Some("default".to_owned()),
        (Some(_), Some(function)) => Some(format!("default = \"{}\"", function.name)),
    };
    attributes.extend(serde_attribute(field, &default.as_deref().into_iter().collect::<Vec<_>>()));
    let mut parts = schema(field, sample);
    if let Some(default) = &field.default {
        parts.insert(0, format!("required = false, default = {}", literal(field, default)));
    }
    attributes.extend(attribute("schema", &parts));
    Typed { type_name: optional(body_type(spec, field), field.optional), attributes }
}

pub(super) fn out(spec: &Spec, field: &Field, sample: &Sample) -> Typed {
    let (mut type_name, mut example) = (stored_type(spec, field), sample.example.clone());
    let mut parts = Vec::new();
    if field.optional {
        parts.push("required".to_owned());
    }
    match &field.kind {
        Kind::Upload => {
            type_name = "LinkedFile".into();
            example = None;
        }
        // In quotes, otherwise it would count as the type of that name, whose import would be kept.
        Kind::Email => parts.push("format = \"email\"".to_owned()),
        Kind::Url => parts.push("format = Uri".to_owned()),
        _ => {}
    }
    // An upload may have been deleted although the row still refers to it, so the file may be missing.
    let may_be_null = field.optional || field.kind == Kind::Upload;
    if field.kind == Kind::Upload && !field.optional {
        parts.insert(0, "required".to_owned());
    }
    // The types of Booleans and enumerations need no example.
    let is_told = matches!(field.kind, Kind::Bool | Kind::Enum(_));
    parts.extend(example.filter(|_| !is_told).map(|example| format!("examples({example})")));
    let mut attributes: Vec<String> = serde_attribute(field, &[]).into_iter().collect();
    attributes.extend(attribute("schema", &parts));
    Typed { type_name: optional(type_name, may_be_null), attributes }
}

/// The name of the type of an enum, which must differ from the types that every domain has.
fn choice_type(spec: &Spec, field: &Field) -> String {
    let plain = format!("{}{}", type_of(&spec.name), type_of(&field.name));
    let taken = ["Id", "Kind", "Filter", "Sort", "Error", "Created", "Updated", "Deleted", "Rows", "Service"];
    if taken.contains(&type_of(&field.name).as_str()) { format!("{plain}Choice") } else { plain }
}

pub(super) fn choices(spec: &Spec) -> Vec<Choice> {
    let choice = |field: &Field| {
        let Kind::Enum(values) = &field.kind else { return None };
        Some(Choice {
            type_name: choice_type(spec, field),
            doc: format!(
                "The {} of {} {}.",
                words(&field.name),
                article(&words(&spec.name)),
                words(&spec.name)
            ),
            default: field.default.is_some(),
            values: values.iter().map(|value| choice_value(value, field)).collect(),
        })
    };
    spec.fields.iter().filter_map(choice).collect()
}

fn choice_value(value: &str, field: &Field) -> ChoiceValue {
    let variant = type_of(value);
    ChoiceValue {
        rename: heck::ToSnakeCase::to_snake_case(variant.as_str()) != value,
        variant,
        default: field.default.as_deref() == Some(value),
        value: value.to_owned(),
    }
}
