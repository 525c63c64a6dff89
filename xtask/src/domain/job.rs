//! A kind of durable job that is to be written into a domain, as its template sees it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::grammar;
use super::names;
use super::refusal::{Refusal, refuse};
use super::spec::{Field, Kind, USERS};
use super::view::{type_of_kind, words};

/// What the handler does, which decides how often it may run: the traits of `shared_kernel::job_handler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Handler {
    /// Writes to the database: exactly once
    #[default]
    Transactional,
    /// Writes to the database for long, step by step: each step exactly once
    Stepped,
    /// Calls another service: at least once
    External,
    /// Computes for long, or blocks its thread: at least once
    Blocking,
}

impl Handler {
    /// The function of `JobKind`.
    fn name(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Stepped => "stepped",
            Self::External => "external",
            Self::Blocking => "blocking",
        }
    }

    /// How often it runs, in a sentence.
    fn promise(self) -> &'static str {
        match self {
            Self::Transactional => {
                "Its statements and the end of the job are one transaction, so it runs exactly once."
            }
            Self::Stepped => {
                "The statements of a step and its cursor are one transaction, so each step runs exactly once."
            }
            Self::External | Self::Blocking => {
                "It runs at least once: after an outage, a second attempt may do again what the first one did."
            }
        }
    }
}

/// The file of a job.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    domain: String,
    name: String,
    kind: String,
    #[serde(rename = "Type")]
    type_name: String,
    handler: &'static str,
    promise: &'static str,
    /// Paths of ids of other generated domains.
    imports: BTreeSet<String>,
    /// Path of the domain's own id, if a field has it.
    own: Option<String>,
    fields: Vec<FieldView>,
    choices: Vec<ChoiceView>,
}

#[derive(Debug, Serialize)]
struct FieldView {
    ident: String,
    #[serde(rename = "type")]
    type_name: String,
    doc: String,
    sample: String,
}

#[derive(Debug, Serialize)]
struct ChoiceView {
    #[serde(rename = "type")]
    type_name: String,
    doc: String,
    values: Vec<ValueView>,
}

#[derive(Debug, Serialize)]
struct ValueView {
    name: String,
    variant: String,
    rename: bool,
}

/// Where the domain finds the ids of others.
pub(crate) struct Neighbours {
    /// The generated domains whose ids it may name: itself, and those that it depends on.
    pub(crate) domains: BTreeSet<String>,
    /// All generated domains.
    pub(crate) all: BTreeSet<String>,
    /// Whether the workspace has uploads.
    pub(crate) has_uploads: bool,
}

impl JobView {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder of the jobs of the domain.
    pub(crate) fn folder(&self) -> String {
        format!("crates/{}/src/job", self.domain)
    }

    /// Crates that the payload needs.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &'static str> {
        let uuid = self.fields.iter().any(|field| field.type_name.contains("Uuid"));
        let uploads = self.fields.iter().any(|field| field.type_name.contains("UploadId"));
        ["serde"].into_iter().chain(uploads.then_some("upload-port")).chain(uuid.then_some("uuid"))
    }

    /// The job `name` of a domain, with these fields.
    pub(crate) fn new(
        (domain, name): (&str, &str),
        handler: Handler,
        fields: &[String],
        neighbours: &Neighbours,
    ) -> Result<Self, Refusal> {
        let type_name = names::pascal(name);
        let fields = fields.iter().map(|text| field(text)).collect::<Result<Vec<_>, _>>()?;
        check_unique(&fields)?;
        let choices = fields.iter().filter(|field| matches!(field.kind, Kind::Enum(_)));
        check_types(choices.map(|field| type_of(&type_name, field)).chain([type_name.clone()]))?;
        let mut imports = BTreeSet::new();
        for field in &fields {
            imports.extend(import(domain, field, neighbours)?);
        }
        let own = imports.iter().find(|path| path.starts_with("crate::")).cloned();
        imports.retain(|path| Some(path) != own.as_ref());
        Ok(Self {
            domain: domain.to_owned(),
            name: name.to_owned(),
            kind: format!("{domain}.{name}"),
            handler: handler.name(),
            promise: handler.promise(),
            imports,
            own,
            choices: fields.iter().filter_map(|field| choice(&type_name, field)).collect(),
            fields: fields.iter().map(|field| view(&type_name, field)).collect(),
            type_name,
        })
    }
}

/// A field of a payload, which has a type and may be optional. Everything else is about tables and requests.
fn field(text: &str) -> Result<Field, Refusal> {
    if let Some(word) = text.split(':').skip(2).find(|word| *word != "optional") {
        refuse(format!(
            "in the field `{text}`, `{word}` is about tables and requests: a field of a job has a type, and may be `optional`"
        ))?;
    }
    if text.split(':').nth(1) == Some("ref=upload") {
        refuse(format!("in the field `{text}`, an upload has a type of its own: write `upload`"))?;
    }
    let field = grammar::parse(text)?;
    if field.kind == Kind::Email {
        refuse(format!(
            "in the field `{text}`, an address is stored with the job and may have changed when it runs: name the account, `user:ref=user`, and read its address then"
        ))?;
    }
    if names::is_keyword(&field.column()) {
        refuse(format!(
            "in the field `{text}`, `{}` is a keyword of Rust: write another name",
            field.column()
        ))?;
    }
    Ok(field)
}

/// The types that the file has besides its own, and those that every file has.
const RESERVED: [&str; 39] = [
    "Attempt",
    "Blocking",
    "Box",
    "Clone",
    "Copy",
    "Date",
    "Debug",
    "Decimal",
    "Default",
    "Deserialize",
    "Eq",
    "External",
    "From",
    "Handler",
    "Into",
    "Job",
    "JobKind",
    "JobRegistry",
    "JsonObject",
    "Migrator",
    "Option",
    "PartialEq",
    "Result",
    "Self",
    "Serialize",
    "Step",
    "Stepped",
    "Stop",
    "String",
    "TestDatabase",
    "Timestamp",
    "Transactional",
    "UploadId",
    "UserId",
    "Uuid",
    "Vec",
    "WorkerSettings",
    "Workers",
    "WriteSession",
];

fn check_types(mut names: impl Iterator<Item = String>) -> Result<(), Refusal> {
    let is_taken = |name: &String| RESERVED.contains(&name.as_str());
    match names.find(is_taken) {
        Some(name) => refuse(format!(
            "the job would have a type `{name}`, which its file has already: write another name"
        )),
        None => Ok(()),
    }
}

fn check_unique(fields: &[Field]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    match fields.iter().find(|field| !seen.insert(field.column())) {
        Some(twice) => refuse(format!("two fields are called `{}`: write another name", twice.column())),
        None => Ok(()),
    }
}

/// The path of the type of an id, unless it is one of the kernel's.
fn import(domain: &str, field: &Field, neighbours: &Neighbours) -> Result<Option<String>, Refusal> {
    match &field.kind {
        Kind::Ref(target) if target == USERS => Ok(None),
        Kind::Ref(target) if target == domain && neighbours.domains.contains(target) => {
            Ok(Some(format!("crate::dto::{}Id", names::pascal(target))))
        }
        Kind::Ref(target) if neighbours.domains.contains(target) => {
            Ok(Some(format!("{target}::dto::{}Id", names::pascal(target))))
        }
        Kind::Ref(target) if !neighbours.all.contains(target) => refuse(format!(
            "in the field `{field}`, there is no domain `{target}` that was generated, and it is not `user`"
        )),
        Kind::Ref(target) => refuse(format!(
            "in the field `{field}`, `{domain}` does not depend on `{target}`: add `{target}.workspace = true` to the dependencies in crates/{domain}/Cargo.toml, and `{target}` to `builds-on` in its [package.metadata.domain]"
        )),
        Kind::Upload if !neighbours.has_uploads => {
            refuse(format!("in the field `{field}`, this workspace has no uploads"))
        }
        _ => Ok(None),
    }
}

fn view(job: &str, field: &Field) -> FieldView {
    let type_name = type_of(job, field);
    FieldView {
        ident: field.column(),
        doc: doc(field),
        sample: if field.optional { "None".to_owned() } else { sample(job, field) },
        type_name: if field.optional { format!("Option<{type_name}>") } else { type_name },
    }
}

fn doc(field: &Field) -> String {
    match &field.kind {
        Kind::Ref(target) if field.name == *target => format!("Id of the {}.", words(target)),
        Kind::Ref(target) => format!("Id of the {}: the {}.", words(target), words(&field.name)),
        Kind::Upload => format!("Id of the upload: the {}.", words(&field.name)),
        _ => format!("{}.", names::capitalized(&words(&field.name))),
    }
}

fn type_of(job: &str, field: &Field) -> String {
    match &field.kind {
        Kind::Enum(_) => format!("{job}{}", names::pascal(&field.name)),
        kind => type_of_kind(kind),
    }
}

/// A value for tests.
fn sample(job: &str, field: &Field) -> String {
    match &field.kind {
        Kind::String | Kind::Text | Kind::Email | Kind::Url => "\"text\".to_owned()".to_owned(),
        Kind::Bool => "true".to_owned(),
        Kind::Int | Kind::BigInt => "1".to_owned(),
        Kind::Decimal { .. } => "Decimal::default()".to_owned(),
        Kind::Float => "1.5".to_owned(),
        Kind::Date => "Date::from_valid(\"2026-01-31\")".to_owned(),
        Kind::Timestamp => "Timestamp::from_unix_millis(1_800_000_000_000).unwrap()".to_owned(),
        Kind::Uuid => "Uuid::from_u128(1)".to_owned(),
        Kind::Json => "JsonObject::default()".to_owned(),
        Kind::Enum(values) => {
            let first = values.first().map(|value| names::pascal(value)).unwrap_or_default();
            format!("{}::{first}", type_of(job, field))
        }
        Kind::Ref(_) | Kind::Upload => format!("{}::from_bytes([1; 16])", type_of(job, field)),
    }
}

fn choice(job: &str, field: &Field) -> Option<ChoiceView> {
    let Kind::Enum(values) = &field.kind else { return None };
    let value = |value: &String| {
        let variant = names::pascal(value);
        let rename = heck::ToSnakeCase::to_snake_case(variant.as_str()) != *value;
        ValueView { name: value.clone(), variant, rename }
    };
    Some(ChoiceView {
        type_name: type_of(job, field),
        doc: format!("The {} of the job.", words(&field.name)),
        values: values.iter().map(value).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::imports::imported;

    /// Before the imports that it does not use are removed.
    const TEMPLATE: &str = include_str!("../../templates/job/job.rs.jinja");

    #[test]
    fn what_the_file_imports_is_reserved() {
        let imports: String = TEMPLATE
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("use ") && !line.contains("{{") && !line.contains('*'))
            .flat_map(|line| [line, "\n"])
            .collect();
        let names = imported(&imports).unwrap();
        assert!(names.len() > 20, "{names:?}");
        for name in names.iter().filter(|name| name.starts_with(char::is_uppercase)) {
            assert!(RESERVED.contains(&name.as_str()), "{name}");
        }
    }
}
