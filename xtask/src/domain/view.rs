//! What the templates see: a [`Spec`] with every word, type and expression spelled out.
//!
//! The templates hold the code's shape and this the code of each type of field, so that a template reads like the file
//! that it makes. What is only needed by tests stands in [`samples`].

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToShoutySnakeCase as _, ToUpperCamelCase as _};
use serde::Serialize;

use super::names::{self, capitalized};
use super::samples::{self, Sample};
use super::spec::{Field, Kind, OnDelete, Spec};

/// All generated domains by name, the one that is rendered included.
pub(crate) type House = BTreeMap<String, Spec>;

/// The characters that no line has, as a class of a regular expression.
const CONTROL: &str = r"\x00-\x1f\x7f-\x9f\u2028\u2029";
/// The same for several lines of text.
const PROSE_CONTROL: &str = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f";
/// `WebAddress::PATTERN` of the kernel, which says the rule nearly exactly.
const URL_PATTERN: &str = concat!(
    "^[Hh][Tt][Tt][Pp][Ss]?://",
    r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
    r"|([A-Za-z0-9_]+(-+[A-Za-z0-9_]+)*\.)*[A-Za-z_][A-Za-z0-9_]*(-+[A-Za-z0-9_]+)*)",
    "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?",
    "(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?",
    r"(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    "(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$",
);
/// What a JavaScript client keeps exactly (RFC 8259, section 6).
const SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// A domain.
#[expect(clippy::struct_excessive_bools, reason = "the templates ask for each by name")]
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
    owner: Option<FieldView>,
    choices: Vec<Choice>,
    /// The domains, other than this and the hand-written ones, that it refers to.
    foreign: Vec<Foreign>,
    dto_types: Vec<String>,
    filters: Vec<Filter>,
    orders: Vec<OrderView>,
    searched: bool,
    searched_words: String,
    search_columns: Vec<String>,
    selects: bool,
    line_pattern: String,
    reads_own: bool,
    create_actor: bool,
    has_refs: bool,
    has_uploads: bool,
    /// Somebody who may do everything has to be an admin.
    needs_admin: bool,
    who_reads: String,
    who_writes: String,
    who_changes: String,
    update_locks: bool,
    merges_required: bool,
    merges_optional: bool,
    eq: bool,
    many_flags: bool,
    has_uuid: bool,
    visible_words: &'static str,
    visible_parameter: &'static str,
    visible_condition: String,
    checks: Vec<Check>,
    indexes: Vec<Index>,
    create_example: String,
    update_example: String,
    tests: Tests,
    migration: String,
    line: String,
}

/// What the tests are made of.
#[expect(clippy::struct_excessive_bools, reason = "the templates ask for each by name")]
#[derive(Serialize)]
struct Tests {
    /// How many rows differ from each other in every unique field.
    rows: usize,
    /// The crate's own bodies choose values by number; so do those of the black-box tests.
    picks: bool,
    picks_remote: bool,
    /// Rows of other tables are counted.
    counts: bool,
    /// Bodies refer to rows that have to be there first.
    refers: bool,
    needs_user: bool,
    needs_upload: bool,
    needs_self: bool,
    /// Some field has a default.
    defaults: bool,
    /// A unique field is an optional reference.
    unique_targets: bool,
    /// Every unique field is a reference, so that bodies never collide by themselves.
    unique_only_references: bool,
    body_asks: bool,
    body_asks_account: bool,
    /// The tables of other domains that it refers to.
    elsewhere: Vec<String>,
    /// The tables whose rows the crate's own tests make.
    targets: Vec<Target>,
    /// The domains whose rows the black-box tests make over HTTP.
    remote: Vec<Remote>,
}

/// A row of another table, as the crate's own tests make it.
#[derive(Serialize)]
struct Target {
    name: String,
    table: String,
    prefix: String,
    words: String,
    #[serde(rename = "A")]
    a_capital: &'static str,
    /// Its values differ by a number.
    numbered: bool,
    /// Columns and values.
    members: Vec<(String, String)>,
    needs: Vec<Need>,
}

/// A kind of row that has to be there first.
#[derive(Clone, Serialize)]
struct Need {
    name: String,
}

/// A row of another domain, as black-box tests make it.
#[derive(Serialize)]
struct Remote {
    name: String,
    route: String,
    words: String,
    a: &'static str,
    numbered: bool,
    members: Vec<(String, String)>,
    needs: Vec<Need>,
}

#[expect(clippy::struct_excessive_bools, reason = "the templates ask for each by name")]
#[derive(Clone, Serialize)]
struct FieldView {
    name: String,
    kind: &'static str,
    words: String,
    column: String,
    ident: String,
    variant: String,
    shown: String,
    shown_ident: String,
    doc: String,
    shown_doc: String,
    optional: bool,
    owner: bool,
    unique: bool,
    required: bool,
    default: Option<String>,
    model: Typed,
    create: Typed,
    update: Typed,
    out: Typed,
    /// What the service writes for a new row, and for a changed one.
    created: String,
    changed: String,
    default_fn: Option<DefaultFn>,
    normalized: Option<Normalized>,
    reference: Option<ReferenceView>,
    taken: Option<Taken>,
    /// The column's definition in a migration, and in one that adds it to a table with rows.
    definition: String,
    type_words: String,
    rule_words: String,
    default_json: String,
    searched: bool,
    check: Option<Check>,
    sample: Sample,
}

#[derive(Clone, Default, Serialize)]
struct Typed {
    #[serde(rename = "type")]
    type_name: String,
    attributes: Vec<String>,
    value: String,
}

#[derive(Clone, Serialize)]
struct DefaultFn {
    name: String,
    value: String,
}

#[derive(Clone, Serialize)]
struct Normalized {
    column: String,
    variant: String,
    definition: String,
    created: String,
    changed: String,
}

#[derive(Clone, Serialize)]
struct ReferenceView {
    domain: String,
    table: String,
    id_type: String,
    prefix: String,
    words: String,
    /// The kind of the target's ids, as this crate's tests name it.
    kind_path: String,
    is_self: bool,
    /// Not everybody may see the target.
    private: bool,
    route: String,
    on_delete: &'static str,
    rule: String,
    consequence: &'static str,
    constraint: String,
    /// The id that a new row or a change points to, if it does.
    created: String,
    changed: String,
}

#[derive(Clone, Serialize)]
struct Taken {
    variant: String,
    constant: String,
    code: String,
    constraint: String,
}

#[derive(Serialize)]
struct Choice {
    #[serde(rename = "type")]
    type_name: String,
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

#[derive(Serialize)]
struct Foreign {
    name: String,
    prefix: String,
    #[serde(rename = "Type")]
    type_name: String,
    words: String,
    #[serde(rename = "A")]
    a_capital: &'static str,
}

#[derive(Serialize)]
struct Filter {
    name: String,
    ident: String,
    field: String,
    doc: String,
    #[serde(rename = "type")]
    type_name: String,
    attributes: Vec<String>,
    condition: String,
    /// `eq`, `min`, `max`, `after`, `before`.
    operator: &'static str,
    /// `operator` in Rust.
    comparison: &'static str,
    column: String,
    unique: bool,
    reference: Option<ReferenceView>,
    sample: Sample,
}

#[derive(Serialize)]
struct OrderView {
    name: String,
    field: String,
    variant: String,
    doc: String,
    method: &'static str,
    column: String,
    direction: &'static str,
    descending: bool,
    sample: Sample,
}

#[derive(Clone, Serialize)]
pub(crate) struct Check {
    name: String,
    expression: String,
}

#[derive(Clone, Serialize)]
pub(crate) struct Index {
    name: String,
    column: String,
    unique: bool,
}

/// The view of `spec` in its house.
pub(crate) fn view(spec: &Spec, house: &House, migration: &str) -> View {
    let fields: Vec<FieldView> = spec.fields.iter().map(|field| field_view(spec, field, house)).collect();
    let settable: Vec<FieldView> = fields.iter().filter(|field| !field.owner).cloned().collect();
    let owner = fields.iter().find(|field| field.owner).cloned();
    let foreign = foreign(spec, house);
    let choices = choices(spec);
    let filters = filters(spec, &fields);
    let search_columns = search_columns(spec);
    let mut dto_types = vec![format!("{}Id", type_of(&spec.name)), format!("{}Kind", type_of(&spec.name))];
    dto_types.extend(choices.iter().map(|choice| choice.type_name.clone()));
    dto_types.extend(foreign.iter().map(|target| format!("{}Id", target.type_name)));
    let (visible_words, visible_parameter, visible_condition) = visibility(spec);
    let has = |kind: &str| fields.iter().any(|field| field.kind == kind);
    let refers =
        spec.fields.iter().any(|field| matches!(field.kind, Kind::Ref(_) | Kind::Upload) && !field.owner);
    let json = |optional| settable.iter().any(|field| field.kind == "json" && field.optional == optional);
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
        rows: rows_type(spec),
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
        line_pattern: line_pattern(1),
        reads_own: owner.is_some() && !spec.public_read,
        create_actor: owner.is_some() || refers,
        has_refs: refers,
        has_uploads: has("upload"),
        needs_admin: needs_admin(spec, house),
        who_reads: who_reads(spec),
        who_writes: who_writes(spec).to_owned(),
        who_changes: spec.owner().map_or_else(|| who_writes(spec).to_owned(), |_| "its owner".to_owned()),
        update_locks: has("json"),
        merges_required: json(false),
        merges_optional: json(true),
        eq: !has("float"),
        many_flags: flags > 3,
        has_uuid: has("uuid"),
        visible_words,
        visible_parameter,
        visible_condition,
        checks: checks(spec, &spec.fields),
        indexes: indexes(spec, &spec.fields),
        create_example: example(
            &settable
                .iter()
                .filter(|field| field.required || !field.optional && field.default.is_none())
                .collect::<Vec<_>>(),
        ),
        update_example: example(&settable.iter().take(1).collect::<Vec<_>>()),
        tests: tests(spec, house, &fields),
        migration: migration.to_owned(),
        line: super::grammar::command_line(spec),
        foreign,
        filters,
        fields,
        settable,
        owner,
        words,
        many,
    }
}

/// `BlogPost` of `blog_post`.
pub(crate) fn type_of(name: &str) -> String {
    name.to_upper_camel_case()
}

/// `blog post` of `blog_post`.
pub(crate) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// The last part of the URL is read by people: hyphens, as in the rest of the API.
pub(crate) fn route(spec: &Spec) -> String {
    format!("/api/v1/{}", spec.plural.replace('_', "-"))
}

fn words_of_plural(spec: &Spec) -> String {
    words(&spec.plural)
}

fn article(words: &str) -> &'static str {
    if words.starts_with(['a', 'e', 'i', 'o']) || words.starts_with("un") { "an" } else { "a" }
}

fn capital_article(words: &str) -> &'static str {
    if article(words) == "an" { "An" } else { "A" }
}

fn list(words: &[String], and: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// The repository is called by the plural; where that is the singular too, by what it is.
fn rows_type(spec: &Spec) -> String {
    let plural = type_of(&spec.plural);
    if plural == type_of(&spec.name) { format!("{plural}Rows") } else { plural }
}

pub(crate) fn access(spec: &Spec) -> String {
    let writer = if spec.admin_only { "an admin" } else { "whoever is signed in" };
    let whose = spec.owner().map(|owner| words(&owner.column().replace("_id", "")));
    match (&whose, spec.public_read) {
        (Some(whose), true) => format!(
            "Everyone may read them; {writer} may make one, and only its {whose} may change or delete it."
        ),
        (Some(whose), false) => format!(
            "Each belongs to its {whose}: {writer} may make one, and for anybody else it is not there."
        ),
        (None, true) => format!("Everyone may read them; {writer} may make, change and delete them."),
        (None, false) => format!("{} may read, make, change and delete them.", capitalized(writer)),
    }
}

fn who_writes(spec: &Spec) -> &'static str {
    if spec.admin_only { "admins" } else { "who is signed in" }
}

fn who_reads(spec: &Spec) -> String {
    match spec.owner() {
        _ if spec.public_read => "everyone".to_owned(),
        Some(_) => "its owner".to_owned(),
        None => who_writes(spec).to_owned(),
    }
}

/// Only an admin can make one: of these, or of what these need.
fn needs_admin(spec: &Spec, house: &House) -> bool {
    let others = closure(spec, house);
    spec.admin_only || others.iter().filter_map(|name| house.get(name)).any(|target| target.admin_only)
}

fn visibility(spec: &Spec) -> (&'static str, &'static str, String) {
    match spec.owner() {
        _ if spec.public_read => ("all of them", "_actor", "Condition::all()".into()),
        Some(owner) => (
            "one's own",
            "actor",
            format!("Condition::all().add(Column::{}.eq(actor.user_id))", type_of(&owner.column())),
        ),
        None if spec.admin_only => (
            "all of them for an admin, and none for others",
            "actor",
            "Condition::all().add(sea_orm::sea_query::Expr::val(actor.is_admin))".into(),
        ),
        None => ("all of them", "_actor", "Condition::all()".into()),
    }
}

/// A field that is called like a keyword gets an underscore at its end.
fn ident(name: &str) -> String {
    if names::is_keyword(name) { format!("{name}_") } else { name.to_owned() }
}

fn field_view(spec: &Spec, field: &Field, house: &House) -> FieldView {
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
        update: update(spec, field, &sample),
        out: out(spec, field, &sample),
        created: created(field),
        changed: changed(field),
        default_fn: default_fn(field),
        normalized: normalized(field),
        reference: reference(spec, field, house),
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
        Kind::Ref(_) if field.owner => "Whose it is.".to_owned(),
        Kind::Ref(domain) => {
            format!("The {words}: {} {}{absent}.", article(&self::words(domain)), self::words(domain))
        }
        Kind::Upload => format!("The {words}: a completed upload of one's own{absent}."),
        Kind::Decimal { scale, .. } => format!("The {words}{absent}: exact, with up to {scale} decimals."),
        _ => format!("The {words}{absent}."),
    }
}

fn shown_doc(field: &Field) -> String {
    match &field.kind {
        Kind::Upload => {
            let none = if field.optional { "; `null` without one" } else { "" };
            format!("Where the {} can be downloaded for a short time{none}.", words(&field.name))
        }
        _ => doc(field),
    }
}

/// What a row holds, without the `Option`.
fn stored_type(spec: &Spec, field: &Field) -> String {
    match &field.kind {
        Kind::String | Kind::Text | Kind::Email | Kind::Url => "String".into(),
        Kind::Bool => "bool".into(),
        Kind::Int => "i32".into(),
        Kind::BigInt => "i64".into(),
        Kind::Decimal { precision, scale } => format!("Fixed<{precision}, {scale}>"),
        Kind::Float => "f64".into(),
        Kind::Date => "Date".into(),
        Kind::Timestamp => "Timestamp".into(),
        Kind::Uuid => "Uuid".into(),
        Kind::Json => "Object".into(),
        Kind::Enum(_) => choice_type(spec, field),
        Kind::Ref(domain) => format!("{}Id", type_of(domain)),
        Kind::Upload => "UploadId".into(),
    }
}

/// What a body holds, without the `Option`.
fn body_type(spec: &Spec, field: &Field) -> String {
    match &field.kind {
        Kind::String | Kind::Email | Kind::Url => "Line".into(),
        Kind::Text => "Prose".into(),
        _ => stored_type(spec, field),
    }
}

fn optional(type_name: String, optional: bool) -> String {
    if optional { format!("Option<{type_name}>") } else { type_name }
}

fn model(spec: &Spec, field: &Field) -> Typed {
    let column = field.column();
    let mut attributes = Vec::new();
    if names::is_keyword(&column) {
        // A column's name is a variant of an enum, and only `Self` is a keyword there.
        let name = if column == "self" { ", enum_name = \"SelfColumn\"" } else { "" };
        attributes.push(format!("#[sea_orm(column_name = \"{column}\"{name})]"));
    }
    Typed { type_name: optional(stored_type(spec, field), field.optional), attributes, value: String::new() }
}

/// The name of the type of an enum; it gives way to the types that every domain has.
fn choice_type(spec: &Spec, field: &Field) -> String {
    let plain = format!("{}{}", type_of(&spec.name), type_of(&field.name));
    let taken = ["Id", "Kind", "Filter", "Sort", "Error", "Created", "Updated", "Deleted", "Rows"];
    if taken.contains(&type_of(&field.name).as_str()) { format!("{plain}Choice") } else { plain }
}

fn choices(spec: &Spec) -> Vec<Choice> {
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

/// The garde rules of a value, without `inner`.
fn rules(field: &Field) -> Option<String> {
    let range = &field.range;
    let bounds = |max_default: Option<String>, min_default: Option<String>, digits: fn(&str) -> String| {
        let min = range.min.clone().or(min_default).map(|min| format!("min = {}", digits(&min)));
        let max = range.max.clone().or(max_default).map(|max| format!("max = {}", digits(&max)));
        [min, max].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    match &field.kind {
        Kind::String | Kind::Text => {
            let max = longest(field).to_string();
            Some(format!("length(chars, {})", bounds(Some(max), None, grouped)))
        }
        Kind::Email => {
            let max = if range.max.is_some() {
                format!("length(chars, {}), ", bounds(None, None, grouped))
            } else {
                String::new()
            };
            Some(format!("{max}custom(contact::is::<Email>)"))
        }
        Kind::Url => {
            let max = if range.max.is_some() {
                format!("length(chars, {}), ", bounds(None, None, grouped))
            } else {
                String::new()
            };
            Some(format!("{max}custom(contact::is::<WebAddress>)"))
        }
        Kind::Int if range.min.is_some() || range.max.is_some() => {
            Some(format!("range({})", bounds(None, None, grouped)))
        }
        Kind::BigInt => {
            let (min, max) = (format!("-{SAFE_INTEGER}"), SAFE_INTEGER.to_string());
            Some(format!("range({})", bounds(Some(max), Some(min), grouped)))
        }
        Kind::Float if range.min.is_some() || range.max.is_some() => {
            Some(format!("range({})", bounds(None, None, floating)))
        }
        Kind::Decimal { .. } if range.min.is_some() || range.max.is_some() => {
            let bound = |text: &Option<String>| {
                text.as_ref().map_or("None".to_owned(), |text| format!("Some(\"{text}\")"))
            };
            Some(format!("custom(decimal::within({}, {}))", bound(&range.min), bound(&range.max)))
        }
        _ => None,
    }
}

/// How many characters a text has at most.
pub(crate) fn longest(field: &Field) -> u64 {
    let given = field.range.max.as_deref().and_then(|max| max.parse().ok());
    given.unwrap_or(match field.kind {
        Kind::Text => 10_000,
        Kind::Email => 254,
        Kind::Url => 2_048,
        _ => 255,
    })
}

/// How many characters a text has at least.
pub(crate) fn shortest(field: &Field) -> u64 {
    field.range.min.as_deref().and_then(|min| min.parse().ok()).unwrap_or(0)
}

/// An integer as it is written in code: `10_000`.
pub(crate) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    if digits.len() < 5 {
        return format!("{sign}{digits}");
    }
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('_');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// An integer of 64 bits where nothing else says so.
fn long(digits: &str) -> String {
    format!("{}_i64", grouped(digits))
}

/// A float as it is written in code: `10_000.0`.
fn floating(text: &str) -> String {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    format!("{}.{rest}", grouped(whole))
}

/// What a line of at least `min` characters looks like to the document: lines are trimmed before they are counted.
fn line_pattern(min: u64) -> String {
    pattern(min, CONTROL)
}

fn pattern(min: u64, control: &str) -> String {
    match min {
        0 => format!("^[^{control}]*$"),
        1 => format!(r"^[^{control}]*[^\s{control}][^{control}]*$"),
        _ => format!(r"^[^{control}]*[^\s{control}][^{control}]{{{},}}[^\s{control}][^{control}]*$", min - 2),
    }
}

/// What the document says of the value; `examples` last.
fn schema(field: &Field, is_optional: bool, sample: &Sample) -> Vec<String> {
    let value_type = |name: &str| format!("value_type = {}", optional(name.to_owned(), is_optional));
    let mut parts = Vec::new();
    match &field.kind {
        Kind::String | Kind::Text => {
            parts.push(value_type("String"));
            if shortest(field) > 0 {
                parts.push(format!("min_length = {}", grouped(&shortest(field).to_string())));
            }
            parts.push(format!("max_length = {}", grouped(&longest(field).to_string())));
            let control = if field.kind == Kind::Text { PROSE_CONTROL } else { CONTROL };
            parts.push(format!("pattern = r\"{}\"", pattern(shortest(field), control)));
        }
        Kind::Email => parts.extend([
            value_type("String"),
            "format = Email".into(),
            format!("max_length = {}", longest(field)),
        ]),
        Kind::Url => parts.extend([
            value_type("String"),
            "format = Uri".into(),
            format!("max_length = {}", grouped(&longest(field).to_string())),
            format!("pattern = r\"{URL_PATTERN}\""),
        ]),
        Kind::Int => parts.extend(bounds(field, "-2_147_483_648", "2_147_483_647", grouped)),
        Kind::BigInt => {
            let max = long(&SAFE_INTEGER.to_string());
            parts.extend(bounds(field, &format!("-{max}"), &max, long));
        }
        Kind::Float => {
            parts.extend(field.range.min.as_deref().map(|min| format!("minimum = {}", floating(min))));
            parts.extend(field.range.max.as_deref().map(|max| format!("maximum = {}", floating(max))));
        }
        _ => {}
    }
    parts.extend(sample.example.as_ref().map(|example| format!("examples({example})")));
    parts
}

fn bounds(field: &Field, min: &str, max: &str, digits: fn(&str) -> String) -> [String; 2] {
    let min = field.range.min.as_deref().map_or_else(|| min.to_owned(), digits);
    let max = field.range.max.as_deref().map_or_else(|| max.to_owned(), digits);
    [format!("minimum = {min}"), format!("maximum = {max}")]
}

fn garde(field: &Field, inner: bool) -> String {
    match rules(field) {
        Some(rules) if inner => format!("#[garde(inner({rules}))]"),
        Some(rules) => format!("#[garde({rules})]"),
        None => "#[garde(skip)]".to_owned(),
    }
}

fn renamed(field: &Field) -> Option<String> {
    let column = field.column();
    names::is_keyword(&column).then_some(column)
}

fn attribute(name: &str, parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("#[{name}({})]", parts.join(", ")))
}

fn serde_attribute(field: &Field, parts: &[&str]) -> Option<String> {
    let rename = renamed(field).map(|name| format!("rename = \"{name}\""));
    let parts: Vec<String> = rename.into_iter().chain(parts.iter().map(|part| (*part).to_owned())).collect();
    attribute("serde", &parts)
}

fn create(spec: &Spec, field: &Field, sample: &Sample) -> Typed {
    let mut attributes = vec![garde(field, field.optional)];
    let default = match (&field.default, default_fn(field)) {
        (None, _) => None,
        (Some(_), None) => Some("default".to_owned()),
        (Some(_), Some(function)) => Some(format!("default = \"{}\"", function.name)),
    };
    attributes.extend(serde_attribute(field, &default.as_deref().into_iter().collect::<Vec<_>>()));
    let mut parts = schema(field, field.optional, sample);
    if let Some(default) = &field.default {
        parts.insert(
            parts.len().saturating_sub(1),
            format!("required = false, default = {}", literal(field, default)),
        );
    }
    attributes.extend(attribute("schema", &parts));
    Typed { type_name: optional(body_type(spec, field), field.optional), attributes, value: String::new() }
}

fn update(spec: &Spec, field: &Field, sample: &Sample) -> Typed {
    let body = body_type(spec, field);
    let mut attributes = Vec::new();
    let mut parts = schema(field, true, sample);
    let type_name = if field.optional {
        attributes.extend(serde_attribute(field, &["default"]));
        if !parts.iter().any(|part| part.starts_with("value_type")) {
            parts.insert(0, format!("value_type = Option<{body}>"));
        }
        format!("Patch<{body}>")
    } else {
        attributes.extend(serde_attribute(field, &["default", "deserialize_with = \"patch::required\""]));
        let at = parts.iter().position(|part| !part.starts_with("value_type")).unwrap_or(parts.len());
        parts.insert(at, "nullable = false".to_owned());
        format!("Option<{body}>")
    };
    attributes.push(garde(field, true));
    attributes.extend(attribute("schema", &parts));
    Typed { type_name, attributes, value: String::new() }
}

fn out(spec: &Spec, field: &Field, sample: &Sample) -> Typed {
    let (mut type_name, mut example) = (stored_type(spec, field), sample.example.clone());
    let mut parts = Vec::new();
    if field.optional {
        parts.push("required".to_owned());
    }
    let own = format!("row.{}", ident(&field.column()));
    let mut value = own.clone();
    match &field.kind {
        Kind::Upload => {
            type_name = "String".into();
            parts.push("format = Uri".to_owned());
            example =
                Some("\"https://files.example.com/ashlar/uploads/3f0c?X-Amz-Signature=9e1b\"".to_owned());
            value = if field.optional {
                format!("{own}.and_then(|id| urls.get(&id).cloned())")
            } else {
                format!("urls.get(&{own}).cloned()")
            };
        }
        Kind::Email => parts.push("format = Email".to_owned()),
        Kind::Url => parts.push("format = Uri".to_owned()),
        _ => {}
    }
    // An upload may be gone though the row still names it, so its URL may be missing.
    let may_be_null = field.optional || field.kind == Kind::Upload;
    if field.kind == Kind::Upload && !field.optional {
        parts.insert(0, "required".to_owned());
    }
    parts.extend(example.map(|example| format!("examples({example})")));
    let mut attributes: Vec<String> = serde_attribute(field, &[]).into_iter().collect();
    attributes.extend(attribute("schema", &parts));
    Typed { type_name: optional(type_name, may_be_null), attributes, value }
}

/// From the body's type to the row's; `None` where they are one.
fn conversion(field: &Field) -> Option<&'static str> {
    match field.kind {
        Kind::String | Kind::Email | Kind::Url => Some("Line::into_string"),
        Kind::Text => Some("Prose::into_string"),
        _ => None,
    }
}

fn created(field: &Field) -> String {
    let own = format!("new.{}", ident(&field.column()));
    match conversion(field) {
        _ if field.owner => "actor.user_id".to_owned(),
        None => own,
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
        (Kind::Json, true) => format!("merged_or_cleared(current.{column}, {own}).into_active()"),
        (Kind::Json, false) => format!("set_if_some(merged(current.{column}, {own}))"),
        (_, true) => format!("{converted}.into_active()"),
        (_, false) => format!("set_if_some({converted})"),
    }
}

fn normalized(field: &Field) -> Option<Normalized> {
    let column = field.normalized_column()?;
    let own = ident(&field.column());
    let created = if field.optional {
        format!("new.{own}.as_deref().map(comparable)")
    } else {
        format!("comparable(&new.{own})")
    };
    let changed = if field.optional {
        format!("changes.{own}.clone().map(|text| comparable(&text)).into_active()")
    } else {
        format!("set_if_some(changes.{own}.as_deref().map(comparable))")
    };
    let null = if field.optional { "" } else { ".not_null()" };
    let default = field
        .default
        .as_ref()
        .map_or_else(String::new, |default| format!(".default({:?})", default.to_lowercase()));
    Some(Normalized {
        variant: type_of(&column),
        definition: format!("ColumnDef::new(\"{column}\").text(){null}{default}"),
        column,
        created,
        changed,
    })
}

fn default_fn(field: &Field) -> Option<DefaultFn> {
    let default = field.default.as_ref()?;
    let value = match &field.kind {
        Kind::Bool if default == "false" => return None,
        Kind::String | Kind::Email | Kind::Url => format!("Line::new({default:?}).unwrap_or_default()"),
        Kind::Text => format!("Prose::new({default:?}).unwrap_or_default()"),
        Kind::Decimal { .. } => format!("const {{ Fixed::from_valid({default:?}) }}"),
        Kind::Date => format!("const {{ Date::from_valid({default:?}) }}"),
        Kind::Bool => default.clone(),
        Kind::Int | Kind::BigInt => grouped(default),
        Kind::Float => floating(default),
        // An enum has a default of its own, and for the others the parser takes none.
        Kind::Enum(_) | Kind::Timestamp | Kind::Uuid | Kind::Json | Kind::Ref(_) | Kind::Upload => {
            return None;
        }
    };
    Some(DefaultFn { name: format!("default_{}", field.column()), value })
}

/// A default as JSON in an attribute.
fn literal(field: &Field, default: &str) -> String {
    match field.kind {
        Kind::Bool => default.to_owned(),
        Kind::Int | Kind::BigInt => grouped(default),
        Kind::Float => floating(default),
        _ => format!("{default:?}"),
    }
}

fn reference(spec: &Spec, field: &Field, house: &House) -> Option<ReferenceView> {
    let (domain, table, prefix) = match &field.kind {
        Kind::Upload => ("upload".to_owned(), "uploads".to_owned(), "upl".to_owned()),
        Kind::Ref(domain) if domain == "user" => (domain.clone(), "users".to_owned(), "usr".to_owned()),
        Kind::Ref(domain) => {
            let target = house.get(domain);
            let table = target.map_or_else(|| format!("{domain}s"), |target| target.plural.clone());
            (domain.clone(), table, target.map_or_else(String::new, |target| target.prefix.clone()))
        }
        _ => return None,
    };
    let own = ident(&field.column());
    let rule = field.on_delete.unwrap_or(OnDelete::Restrict);
    let target = house.get(&domain);
    Some(ReferenceView {
        id_type: stored_type(spec, field),
        words: words(&domain),
        kind_path: match domain.as_str() {
            "user" => "shared_kernel::id::UserKind".to_owned(),
            "upload" => "shared_kernel::id::UploadKind".to_owned(),
            _ => format!("{}::dto::{}Kind", spec.name, type_of(&domain)),
        },
        is_self: domain == spec.name,
        private: target.is_some_and(|target| !target.public_read && target.owner().is_some()),
        route: target.map(route).unwrap_or_default(),
        consequence: match rule {
            OnDelete::Cascade => "this goes with it",
            OnDelete::Restrict => "that is refused with 409 `still_referenced`",
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

fn taken(spec: &Spec, field: &Field) -> Option<Taken> {
    let column = field.column();
    let compared =
        if field.kind == Kind::Email { format!("{}_normalized", field.name) } else { column.clone() };
    field.unique.then(|| Taken {
        variant: format!("{}Taken", type_of(&column)),
        constant: format!("{}_TAKEN", column.to_shouty_snake_case()),
        code: format!("{}_{column}_taken", spec.name),
        constraint: format!("{}_{compared}_key", spec.plural),
    })
}

/// A column in a migration. What is written here is released one day, so it names no type of the code.
pub(crate) fn definition(field: &Field) -> String {
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

pub(crate) fn checks(spec: &Spec, fields: &[Field]) -> Vec<Check> {
    fields.iter().filter_map(|field| check(spec, field)).collect()
}

fn check(spec: &Spec, field: &Field) -> Option<Check> {
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

pub(crate) fn indexes(spec: &Spec, fields: &[Field]) -> Vec<Index> {
    let mut made = Vec::new();
    let mut seen = BTreeSet::new();
    for field in fields {
        let column = field.column();
        let shadow = field.normalized_column();
        if field.unique {
            let column =
                if field.kind == Kind::Email { format!("{}_normalized", field.name) } else { column.clone() };
            made.push(Index { name: format!("{}_{column}_key", spec.plural), column, unique: true });
        }
        let looked_up = field.filter || field.index || matches!(field.kind, Kind::Ref(_) | Kind::Upload);
        let sorted = field.sort.then(|| shadow.clone().unwrap_or_else(|| column.clone()));
        let filtered = looked_up.then(|| {
            if field.kind == Kind::Email { shadow.clone() } else { None }.unwrap_or_else(|| column.clone())
        });
        for column in sorted.into_iter().chain(filtered) {
            if seen.insert(column.clone()) {
                made.push(Index { name: format!("{}_{column}_id_idx", spec.plural), column, unique: false });
            }
        }
    }
    made
}

fn search_columns(spec: &Spec) -> Vec<String> {
    let searched = spec.fields.iter().filter(|field| field.search);
    searched.filter_map(|field| Some(format!("Column::{}", type_of(&field.normalized_column()?)))).collect()
}

fn filters(spec: &Spec, views: &[FieldView]) -> Vec<Filter> {
    let fields = spec.fields.iter().zip(views).filter(|(field, _)| field.filter);
    fields.flat_map(|(field, view)| field_filters(spec, field, view)).collect()
}

fn field_filters(spec: &Spec, field: &Field, view: &FieldView) -> Vec<Filter> {
    let column = field.column();
    let words = words(&field.name);
    let same = |doc: String| filter(spec, field, view, &column, doc, "eq");
    let named = |suffix: &str, doc: String, operator| {
        filter(spec, field, view, &format!("{column}_{suffix}"), doc, operator)
    };
    match field.kind {
        Kind::Int | Kind::BigInt | Kind::Decimal { .. } | Kind::Float => vec![
            same(format!("Only with this {words}.")),
            named("min", format!("Only with a {words} of at least this."), "min"),
            named("max", format!("Only with a {words} of at most this."), "max"),
        ],
        Kind::Date | Kind::Timestamp => vec![
            named("after", format!("Only with a {words} after this."), "after"),
            named("before", format!("Only with a {words} before this."), "before"),
        ],
        Kind::Bool => vec![same(format!("Only those that are {words}, or only the others."))],
        _ => vec![same(format!("Only with this {words}."))],
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
    let type_name = body_type(spec, field);
    let own = ident(name);
    let (variant, argument) = match field.kind {
        Kind::Email => (
            view.normalized.as_ref().map_or_else(String::new, |shadow| shadow.variant.clone()),
            "comparable(text)",
        ),
        Kind::String | Kind::Url => (view.variant.clone(), "text"),
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
        operator,
        comparison: match operator {
            "min" => ">=",
            "max" => "<=",
            "after" => ">",
            "before" => "<",
            _ => "==",
        },
        column: view.column.clone(),
        unique: view.unique,
        reference: view.reference.clone(),
        sample: view.sample.clone(),
    }
}

fn filter_attributes(field: &Field, name: &str) -> Vec<String> {
    let rename = names::is_keyword(name).then(|| format!("#[serde(rename = \"{name}\")]"));
    let rules = if field.is_text() {
        let max = grouped(&longest(field).to_string());
        vec![
            format!("#[garde(inner(length(chars, min = 1, max = {max})))]"),
            format!(
                "#[param(value_type = Option<String>, min_length = 1, max_length = {max}, pattern = r\"{}\")]",
                line_pattern(1)
            ),
        ]
    } else {
        let (rule, shown) = match field.kind {
            Kind::Enum(_) => ("skip".to_owned(), Some("inline".to_owned())),
            Kind::Int => {
                ("skip".to_owned(), Some("minimum = -2_147_483_648, maximum = 2_147_483_647".to_owned()))
            }
            Kind::BigInt => {
                let max = long(&SAFE_INTEGER.to_string());
                let bounds = format!("min = -{max}, max = {max}");
                (format!("inner(range({bounds}))"), Some(format!("minimum = -{max}, maximum = {max}")))
            }
            _ => ("skip".to_owned(), None),
        };
        let shown = shown.map(|shown| format!("#[param({shown})]"));
        std::iter::once(format!("#[garde({rule})]")).chain(shown).collect()
    };
    rename.into_iter().chain(rules).collect()
}

fn orders(spec: &Spec, views: &[FieldView]) -> Vec<OrderView> {
    let fields = spec.fields.iter().zip(views).filter(|(field, _)| field.sort);
    fields.flat_map(|(field, view)| [order(field, view, false), order(field, view, true)]).collect()
}

fn order(field: &Field, view: &FieldView, descending: bool) -> OrderView {
    let column = field.column();
    let camel = type_of(&column);
    // `Newest` and `Oldest` are there already.
    let camel =
        if ["Newest", "Oldest", "Self"].contains(&camel.as_str()) { format!("By{camel}") } else { camel };
    let (sign, suffix, words) = if descending { ("-", "Descending", ", backwards") } else { ("", "", "") };
    let stored =
        view.normalized.as_ref().map_or_else(|| view.variant.clone(), |shadow| shadow.variant.clone());
    OrderView {
        name: format!("{sign}{column}"),
        field: field.name.clone(),
        variant: format!("{camel}{suffix}"),
        doc: format!("By {}{words}.", self::words(&field.name)),
        method: if field.optional { "by_nullable" } else { "by" },
        column: if stored == "Self" { "SelfColumn".to_owned() } else { stored },
        direction: if descending { "Descending" } else { "Ascending" },
        descending,
        sample: view.sample.clone(),
    }
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
        Kind::Upload => "id of a completed upload in, presigned URL out".to_owned(),
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

fn foreign(spec: &Spec, house: &House) -> Vec<Foreign> {
    let targets: BTreeSet<&String> = spec
        .fields
        .iter()
        .filter_map(|field| match &field.kind {
            Kind::Ref(domain) if domain != "user" && *domain != spec.name => Some(domain),
            _ => None,
        })
        .collect();
    let foreign = |domain: &String| {
        let words = words(domain);
        Foreign {
            name: domain.clone(),
            prefix: house.get(domain).map_or_else(String::new, |target| target.prefix.clone()),
            type_name: type_of(domain),
            a_capital: capital_article(&words),
            words,
        }
    };
    targets.into_iter().map(foreign).collect()
}

/// An object for `json!`, of what a body has to have.
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

/// What the rows of `spec` refer to, of other domains; owners are there anyway.
fn needed(spec: &Spec) -> Vec<String> {
    let mut needed = Vec::new();
    for field in spec.fields.iter().filter(|field| !field.owner) {
        let domain = match &field.kind {
            Kind::Upload => "upload",
            Kind::Ref(domain) if *domain != spec.name => domain,
            _ => continue,
        };
        if !needed.iter().any(|known| known == domain) {
            needed.push(domain.to_owned());
        }
    }
    needed
}

fn required_needs(spec: &Spec) -> Vec<String> {
    let required = Spec {
        fields: spec.fields.iter().filter(|field| !field.optional).cloned().collect(),
        ..spec.clone()
    };
    needed(&required)
}

/// The generated domains whose rows have to be there, each after those that it needs.
fn closure(spec: &Spec, house: &House) -> Vec<String> {
    fn visit(name: &str, house: &House, done: &mut Vec<String>) {
        if done.iter().any(|known| known == name) {
            return;
        }
        let Some(target) = house.get(name) else { return };
        for next in required_needs(target) {
            visit(&next, house, done);
        }
        done.push(name.to_owned());
    }
    let mut done = Vec::new();
    for name in needed(spec) {
        visit(&name, house, &mut done);
    }
    done.retain(|name| *name != spec.name);
    done
}

fn tests(spec: &Spec, house: &House, fields: &[FieldView]) -> Tests {
    let closure = closure(spec, house);
    let settable = || fields.iter().filter(|field| !field.owner);
    let required = |domain: Option<&str>| {
        settable().any(|field| {
            let to = field.reference.as_ref().map(|reference| reference.domain.as_str());
            !field.optional && to.is_some() && (domain.is_none() || to == domain)
        })
    };
    let refers_to = |domain: &str| needed(spec).iter().any(|name| name == domain);
    let all_need = |domain: &str| {
        refers_to(domain)
            || closure
                .iter()
                .filter_map(|name| house.get(name))
                .any(|target| required_needs(target).iter().any(|name| name == domain))
    };
    let remote: Vec<Remote> = closure.iter().filter_map(|name| Some(remote(house.get(name)?))).collect();
    let targets: Vec<Target> = closure.iter().filter_map(|name| Some(target(house.get(name)?))).collect();
    let has_pick = |members: &[(String, String)]| members.iter().any(|(_, value)| value.contains("pick("));
    let own_picks = settable().any(|field| field.sample.value.contains("pick("));
    let mut elsewhere: Vec<String> = needed(spec)
        .iter()
        .map(|name| house.get(name).map_or_else(|| format!("{name}s"), |target| target.plural.clone()))
        .collect();
    if fields.iter().any(|field| field.owner) && !elsewhere.iter().any(|table| table == "users") {
        elsewhere.push("users".to_owned());
    }
    let uniques = || settable().filter(|field| field.unique);
    Tests {
        rows: spec
            .fields
            .iter()
            .filter(|field| field.unique)
            .map(samples::distinct)
            .min()
            .unwrap_or(5)
            .min(5),
        picks: own_picks || targets.iter().any(|target| has_pick(&target.members)),
        picks_remote: own_picks || remote.iter().any(|remote| has_pick(&remote.members)),
        counts: targets.iter().any(|target| target.numbered),
        refers: required(None),
        needs_user: all_need("user"),
        needs_upload: all_need("upload"),
        needs_self: fields
            .iter()
            .any(|field| field.reference.as_ref().is_some_and(|reference| reference.is_self)),
        defaults: settable().any(|field| field.default.is_some()),
        unique_targets: uniques().any(|field| field.optional && field.reference.is_some()),
        unique_only_references: uniques().all(|field| field.reference.is_some()),
        body_asks: required(None),
        body_asks_account: settable().any(|field| {
            !field.optional && field.reference.as_ref().is_some_and(|reference| reference.domain != "user")
        }),
        elsewhere,
        targets,
        remote,
    }
}

fn target(spec: &Spec) -> Target {
    let mut members = Vec::new();
    for field in spec.fields.iter().filter(|field| !field.optional) {
        let value = match &field.kind {
            Kind::Ref(_) if field.owner => "self.ada.user_id".to_owned(),
            Kind::Ref(domain) => domain.clone(),
            Kind::Upload => "upload".to_owned(),
            _ => samples::sample(field, &words(&field.name)).value,
        };
        members.push((field.column(), value.clone()));
        members.extend(field.normalized_column().map(|shadow| (shadow, value)));
    }
    let name = words(&spec.name);
    Target {
        table: spec.plural.clone(),
        prefix: spec.prefix.clone(),
        a_capital: capital_article(&name),
        words: name,
        numbered: members.iter().any(|(_, value)| value.contains("number")),
        members,
        needs: required_needs(spec).into_iter().map(|name| Need { name }).collect(),
        name: spec.name.clone(),
    }
}

fn remote(spec: &Spec) -> Remote {
    let members =
        spec.fields.iter().filter(|field| !field.optional && !field.owner && field.default.is_none());
    let member = |field: &Field| {
        let value = match &field.kind {
            Kind::Ref(domain) if domain == "user" => "account.id".to_owned(),
            Kind::Ref(domain) => domain.clone(),
            Kind::Upload => "upload".to_owned(),
            _ => samples::sample(field, &words(&field.name)).value,
        };
        (field.column(), value)
    };
    let name = words(&spec.name);
    let members: Vec<_> = members.map(member).collect();
    Remote {
        route: route(spec),
        a: article(&name),
        words: name,
        numbered: members.iter().any(|(_, value)| value.contains("number")),
        members,
        needs: required_needs(spec)
            .into_iter()
            .filter(|name| name != "user")
            .map(|name| Need { name })
            .collect(),
        name: spec.name.clone(),
    }
}

/// What the migration sees that adds fields to a table.
#[derive(Serialize)]
pub(crate) struct Added {
    table: String,
    #[serde(rename = "Many")]
    many_capital: String,
    new_words: String,
    fields: Vec<FieldView>,
    indexes: Vec<Index>,
}

/// The view of the fields that are added to `spec`, which has them already.
pub(crate) fn added(spec: &Spec, new: &[Field], house: &House) -> Added {
    let names: Vec<String> =
        new.iter().map(|field| format!("{} {}", article(&words(&field.name)), words(&field.name))).collect();
    Added {
        table: spec.plural.clone(),
        many_capital: capitalized(&words_of_plural(spec)),
        new_words: list(&names, "and"),
        fields: new.iter().map(|field| field_view(spec, field, house)).collect(),
        indexes: indexes(spec, new),
    }
}
