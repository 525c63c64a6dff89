//! The view for the templates: a [`Spec`] with all words, types and expressions as text.
//!
//! The templates contain the structure of the code, and this module the code for each type of field, so that a template looks like
//! the generated file. Values only for tests are in [`samples`](super::samples).

mod access;
mod composition;
mod field;
mod fixtures;
mod list;
mod reference;
mod schema;
mod table;
mod typed;
mod wording;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::access::{Scope, needs_admin, scope, who_reads, who_writes};
use self::field::{FieldView, field_view};
use self::fixtures::{Tests, tests};
use self::list::{Filter, OrderView, filters, orders, search_columns};
use self::reference::{Foreign, foreign};
use self::table::{Check, Index, checks, indexes};
use self::typed::{Choice, choices};
use self::wording::{article, capital_article, list, service_type, type_of, words_of_plural};
use super::names::capitalized;
use super::spec::{Field, Kind, Spec};

pub(crate) use self::access::access;
pub(crate) use self::composition::composition;
pub(crate) use self::schema::{floating, grouped, integer, longest, shortest};
pub(crate) use self::table::index_names;
pub(crate) use self::typed::type_of_kind;
pub(crate) use self::wording::{route, words};

/// All generated domains by name, including the one that is rendered.
pub(crate) type Specs = BTreeMap<String, Spec>;

/// A domain.
#[expect(clippy::struct_excessive_bools, reason = "the templates use each by name")]
#[derive(Serialize)]
pub(crate) struct View {
    name: String,
    plural: String,
    table: String,
    route: String,
    tag: String,
    prefix: String,
    #[serde(rename = "Type")]
    type_name: String,
    #[serde(rename = "Types")]
    type_plural: String,
    /// The struct whose methods are the operations.
    #[serde(rename = "Service")]
    service: String,
    /// The repository.
    #[serde(rename = "Rows")]
    rows: String,
    words: String,
    many: String,
    #[serde(rename = "Many")]
    many_capital: String,
    a: &'static str,
    #[serde(rename = "A")]
    a_capital: &'static str,
    description: String,
    access: String,
    public_read: bool,
    admin_only: bool,
    events: bool,
    fields: Vec<FieldView>,
    settable: Vec<FieldView>,
    uniques: Vec<FieldView>,
    references: Vec<FieldView>,
    /// References to rows of the same domain that must agree in a column.
    withins: Vec<FieldView>,
    owner: Option<FieldView>,
    choices: Vec<Choice>,
    /// The generated domains that it builds on: it uses their ids.
    foreign: Vec<Foreign>,
    /// The dependencies of the crate.
    dependencies: BTreeSet<String>,
    dto_types: Vec<String>,
    filters: Vec<Filter>,
    orders: Vec<OrderView>,
    searched: bool,
    searched_words: String,
    search_columns: Vec<String>,
    selects: bool,
    reads_own: bool,
    has_refs: bool,
    has_uploads: bool,
    /// Tests need an admin to have all permissions.
    needs_admin: bool,
    who_reads: String,
    who_writes: String,
    who_changes: String,
    has_json: bool,
    only_json: bool,
    eq: bool,
    many_flags: bool,
    scope: Scope,
    checks: Vec<Check>,
    indexes: Vec<Index>,
    create_example: String,
    update_example: String,
    tests: Tests,
}

/// The view of the migration that adds fields to a table.
#[derive(Serialize)]
pub(crate) struct Added {
    table: String,
    #[serde(rename = "Many")]
    many_capital: String,
    new_words: String,
    references: Vec<FieldView>,
    fields: Vec<FieldView>,
    indexes: Vec<Index>,
}

/// The view of `spec` in its workspace.
pub(crate) fn view(spec: &Spec, specs: &Specs) -> View {
    let fields: Vec<FieldView> = spec.fields.iter().map(|field| field_view(spec, field, specs)).collect();
    let settable: Vec<FieldView> = fields.iter().filter(|field| !field.owner).cloned().collect();
    let owner = fields.iter().find(|field| field.owner).cloned();
    let foreign = foreign(spec);
    let choices = choices(spec);
    let filters = filters(spec, &fields);
    let search_columns = search_columns(spec);
    let mut dto_types = vec![format!("{}Id", type_of(&spec.name)), format!("{}Kind", type_of(&spec.name))];
    dto_types.extend(choices.iter().map(|choice| choice.type_name.clone()));
    let has = |kind: &str| fields.iter().any(|field| field.kind == kind);
    let refers =
        spec.fields.iter().any(|field| matches!(field.kind, Kind::Ref(_) | Kind::Upload) && !field.owner);
    let flags = spec.fields.iter().filter(|field| field.kind == Kind::Bool && !field.optional).count();
    let words = words(&spec.name);
    let many = words_of_plural(spec);
    View {
        name: spec.name.clone(),
        plural: spec.plural.clone(),
        table: spec.plural.clone(),
        route: route(spec),
        tag: many.clone(),
        prefix: spec.prefix.clone(),
        type_name: type_of(&spec.name),
        type_plural: type_of(&spec.plural),
        service: service_type(spec),
        rows: format!("{}Rows", type_of(&spec.name)),
        a: article(&words),
        a_capital: capital_article(&words),
        many_capital: capitalized(&many),
        description: format!("{}.", capitalized(&many)),
        access: access(spec),
        public_read: spec.public_read,
        admin_only: spec.admin_only,
        events: spec.events,
        uniques: fields.iter().filter(|field| field.unique).cloned().collect(),
        references: fields.iter().filter(|field| field.reference.is_some()).cloned().collect(),
        withins: withins(&fields),
        choices,
        dto_types,
        orders: orders(spec, &fields),
        searched: !search_columns.is_empty(),
        searched_words: list(
            &spec
                .fields
                .iter()
                .filter(|field| field.search)
                .map(|field| format!("the {}", self::words(&field.name)))
                .collect::<Vec<_>>(),
            "or",
        ),
        selects: !filters.is_empty() || !search_columns.is_empty(),
        search_columns,
        reads_own: owner.is_some() && !spec.public_read,
        has_refs: refers,
        has_uploads: has("upload"),
        needs_admin: needs_admin(spec, specs),
        who_reads: who_reads(spec),
        who_writes: who_writes(spec).to_owned(),
        who_changes: spec.owner().map_or_else(|| who_writes(spec).to_owned(), |_| "its owner".to_owned()),
        has_json: has("json"),
        only_json: settable.iter().all(|field| field.kind == "json"),
        eq: !has("float"),
        many_flags: flags > 3,
        scope: scope(spec),
        checks: checks(spec, &spec.fields),
        indexes: indexes(spec, &spec.fields),
        create_example: example(
            &settable
                .iter()
                .filter(|field| field.required || !field.optional && field.default.is_none())
                .collect::<Vec<_>>(),
        ),
        update_example: example(&settable.iter().take(1).collect::<Vec<_>>()),
        tests: tests(spec, specs, &fields),
        dependencies: dependencies(spec),
        foreign,
        filters,
        fields,
        settable,
        owner,
        words,
        many,
    }
}

fn withins(fields: &[FieldView]) -> Vec<FieldView> {
    let is_within =
        |field: &&FieldView| field.reference.as_ref().is_some_and(|reference| reference.within.is_some());
    fields.iter().filter(is_within).cloned().collect()
}

/// The dependencies of its crate.
fn dependencies(spec: &Spec) -> BTreeSet<String> {
    let has = |kind: &Kind| spec.fields.iter().any(|field| field.kind == *kind);
    let mut names = spec.builds_on();
    names.extend(["garde", "sea-orm", "serde", "shared-kernel", "thiserror", "utoipa"].map(str::to_owned));
    names.extend(has(&Kind::Upload).then(|| "upload-port".to_owned()));
    names.extend(has(&Kind::Uuid).then(|| "uuid".to_owned()));
    names
}

/// The view of the fields that are added to `spec`, which already contains them.
pub(crate) fn added(spec: &Spec, new: &[Field], specs: &Specs) -> Added {
    let names: Vec<String> = new.iter().map(|field| format!("`{}`", field.column())).collect();
    let fields: Vec<FieldView> = new.iter().map(|field| field_view(spec, field, specs)).collect();
    Added {
        references: fields.iter().filter(|field| field.reference.is_some()).cloned().collect(),
        table: spec.plural.clone(),
        many_capital: capitalized(&words_of_plural(spec)),
        new_words: list(&names, "and"),
        fields,
        indexes: indexes(spec, new),
    }
}

/// An object for `json!` with the required members of a body.
fn example(fields: &[&FieldView]) -> String {
    let members = fields.iter().filter_map(|field| {
        let example = match (&field.reference, &field.sample.example) {
            (Some(reference), _) => format!("\"{}_01J9ZC3V8T5Q4X2M7N6P0R1S2T\"", reference.prefix),
            (None, example) => inside_json(example.as_deref()?).to_owned(),
        };
        Some(format!("\"{}\": {example}", field.column))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// `json!` does not nest.
fn inside_json(example: &str) -> &str {
    example.strip_prefix("json!(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(example)
}
