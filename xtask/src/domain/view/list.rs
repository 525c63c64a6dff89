//! The list operation of a domain: its filters, sort orders and search.

use serde::Serialize;

use super::field::FieldView;
use super::schema::has_rule;
use super::typed::filter_type;
use super::wording::{ident, type_of, words_of_plural};
use crate::domain::names;
use crate::domain::spec::{Field, Kind, Spec};

#[derive(Serialize)]
pub(super) struct Filter {
    name: String,
    ident: String,
    field: String,
    doc: String,
    #[serde(rename = "type")]
    type_name: String,
    attributes: Vec<String>,
    condition: String,
    /// Its name in the tests.
    comparison: &'static str,
}

#[derive(Serialize)]
pub(super) struct OrderView {
    name: String,
    field: String,
    method: &'static str,
    column: String,
    direction: &'static str,
    descending: bool,
}

pub(super) fn search_columns(spec: &Spec) -> Vec<String> {
    let searched = spec.fields.iter().filter(|field| field.search);
    searched.filter_map(|field| Some(format!("Column::{}", type_of(&field.normalized_column()?)))).collect()
}

pub(super) fn filters(spec: &Spec, views: &[FieldView]) -> Vec<Filter> {
    let fields = spec.fields.iter().zip(views).filter(|(field, _)| field.filter);
    fields.flat_map(|(field, view)| field_filters(spec, field, view)).collect()
}

fn field_filters(spec: &Spec, field: &Field, view: &FieldView) -> Vec<Filter> {
    let column = field.column();
    let many = words_of_plural(spec);
    let same = |doc: String| filter(spec, field, view, &column, doc, "eq");
    let named = |suffix: &str, doc: String, operator| {
        filter(spec, field, view, &format!("{column}_{suffix}"), doc, operator)
    };
    match field.kind {
        Kind::Int | Kind::BigInt | Kind::Decimal { .. } | Kind::Float => vec![
            same(format!("Only {many} with this `{column}`.")),
            named("min", format!("Only {many} whose `{column}` is at least this."), "min"),
            named("max", format!("Only {many} whose `{column}` is at most this."), "max"),
        ],
        Kind::Date | Kind::Timestamp => vec![
            named("after", format!("Only {many} whose `{column}` is after this."), "after"),
            named("before", format!("Only {many} whose `{column}` is before this."), "before"),
        ],
        _ => vec![same(format!("Only {many} with this `{column}`."))],
    }
}

fn filter(
    spec: &Spec,
    field: &Field,
    view: &FieldView,
    name: &str,
    doc: String,
    operator: &'static str,
) -> Filter {
    let type_name = filter_type(spec, field);
    let own = ident(name);
    let (variant, argument) = match field.kind {
        Kind::Email => (
            view.normalized.as_ref().map_or_else(String::new, |shadow| shadow.variant.clone()),
            "Email::comparable(text)",
        ),
        Kind::String | Kind::Url => (view.variant.clone(), "text"),
        Kind::Int | Kind::BigInt => (view.variant.clone(), "value.get()"),
        _ => (view.variant.clone(), "value"),
    };
    let variant = if variant == "Self" { "SelfColumn".to_owned() } else { variant };
    let method = match operator {
        "min" => "gte",
        "max" => "lte",
        "after" => "gt",
        "before" => "lt",
        _ => "eq",
    };
    let condition = if field.is_text() {
        format!("filter.{own}.as_deref().map(|text| Column::{variant}.{method}({argument}))")
    } else {
        format!("filter.{own}.map(|value| Column::{variant}.{method}({argument}))")
    };
    Filter {
        attributes: filter_attributes(field, name),
        name: name.to_owned(),
        field: field.name.clone(),
        ident: own,
        doc,
        type_name,
        condition,
        comparison: match operator {
            "min" => "AtLeast",
            "max" => "AtMost",
            "after" => "After",
            "before" => "Before",
            _ => "Equal",
        },
    }
}

fn filter_attributes(field: &Field, name: &str) -> Vec<String> {
    let rename = names::is_keyword(name).then(|| format!("#[serde(rename = \"{name}\")]"));
    // utoipa does not register the types of parameters, so a reference to the type would be dangling.
    let is_inline = has_rule(field) || matches!(field.kind, Kind::Enum(_));
    let shown = is_inline.then(|| "#[param(inline)]".to_owned());
    rename.into_iter().chain(shown).collect()
}

pub(super) fn orders(spec: &Spec, views: &[FieldView]) -> Vec<OrderView> {
    let fields = spec.fields.iter().zip(views).filter(|(field, _)| field.sort);
    fields.flat_map(|(field, view)| [order(field, view, false), order(field, view, true)]).collect()
}

fn order(field: &Field, view: &FieldView, descending: bool) -> OrderView {
    let column = field.column();
    let (sign, direction) = if descending { ("-", "Descending") } else { ("", "Ascending") };
    let stored =
        view.normalized.as_ref().map_or_else(|| view.variant.clone(), |shadow| shadow.variant.clone());
    OrderView {
        name: format!("{sign}{column}"),
        field: field.name.clone(),
        method: if field.optional { "by_nullable" } else { "by" },
        column: if stored == "Self" { "SelfColumn".to_owned() } else { stored },
        direction,
        descending,
    }
}
