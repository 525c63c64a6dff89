//! The rules on the names and fields of a domain, given the existing workspace.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{self, pascal};
use super::refusal::{Refusal, refuse};
use super::spec::{Field, Kind, Spec, USERS};
use super::survey::Survey;
use super::view::index_names;

/// Greatest number of fields of a domain.
const MOST_FIELDS: usize = 100;

/// Greatest length of the plural, somewhat longer than that of the name.
const LONGEST_PLURAL: usize = 34;

/// PostgreSQL truncates longer names silently, and errors are mapped by the names of constraints.
const LONGEST_CONSTRAINT: usize = 63;

/// The longest suffix after the names of a table and a column.
const LONGEST_SUFFIX: &str = "_id_idx";

/// Reserved names: something in the workspace, in Rust or in an operating system has them, even if the files read here do not show it.
const TAKEN: &[&str] = &[
    "admin",
    "alloc",
    "api",
    "application",
    "aux",
    "build",
    "cli",
    "commands",
    "common",
    "con",
    "config",
    "configuration",
    "core",
    "crates",
    "docs",
    "domain",
    "domains",
    "dto",
    "error",
    "event",
    "health",
    "http",
    "it",
    "lib",
    "logging",
    "main",
    "messaging",
    "migrate",
    "migration",
    "model",
    "module",
    "nul",
    "object_store",
    "openapi",
    "prn",
    "proc_macro",
    "redoc",
    "repository",
    "routers",
    "server",
    "service",
    "shared_kernel",
    "std",
    "subscribers",
    "target",
    "test",
    "tests",
    "transport",
    "wiring",
    "xtask",
];

/// The crate with the port to uploads.
pub(crate) const UPLOADS: &str = "upload-port";

/// Reserved names of tables and routes, even if the files read here do not show them.
const TAKEN_PLURALS: &[&str] = &[
    "admin",
    "api",
    "auth",
    "docs",
    "handled_events",
    "health",
    "migration_contents",
    "openapi",
    "outbox_events",
    "passwords",
    "problems",
    "redoc",
    "seaql_migrations",
    "sessions",
    "signing_keys",
    "uploads",
    "users",
];

/// Columns that every table has, and names that PostgreSQL reserves for system columns.
const TAKEN_COLUMNS: &[&str] = &[
    "id",
    "version",
    "created_at",
    "updated_at",
    "deleted_at",
    "cmax",
    "cmin",
    "ctid",
    "tableoid",
    "xmax",
    "xmin",
];

/// Query parameters that every list has.
const TAKEN_PARAMETERS: &[&str] = &["q", "sort", "limit", "cursor", "offset", "include"];

/// Whether this name is reserved, even if the files read here do not show it.
pub(crate) fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name)
}

/// Rejects the name of a new domain if it is in use.
pub(crate) fn check_name(name: &str, survey: &Survey) -> Result<(), Refusal> {
    names::check(name, names::LONGEST).map_err(Refusal::new)?;
    if survey.generated.contains_key(name) {
        return refuse(format!(
            "there is a domain `{name}` already: choose another name, add fields with `cargo xtask add-field {name} …`, or remove it first"
        ));
    }
    let taken = if names::is_keyword(name) {
        "is a keyword of Rust"
    } else if is_taken(name) || survey.modules.contains(name) {
        "is a reserved name (the workspace, Rust or an operating system uses it)"
    } else if survey.crates.contains(name) || survey.crates.contains(&name.replace('_', "-")) {
        "is the name of a folder in crates/ that is not empty"
    } else if survey.packages.contains(name) {
        "is the name of a package in Cargo.lock, and code could not distinguish the two"
    } else {
        return Ok(());
    };
    refuse(format!("`{name}` {taken}: choose another name for the domain"))
}

/// Rejects a plural that another table or route has.
pub(crate) fn check_plural(plural: &str, survey: &Survey) -> Result<(), Refusal> {
    names::check(plural, LONGEST_PLURAL).map_err(Refusal::new)?;
    let route = plural.replace('_', "-");
    let is_taken = TAKEN_PLURALS.contains(&plural)
        || plural.starts_with("sqlite_")
        || survey.tables.contains(plural)
        || survey.routes.contains(&route)
        || survey.generated.values().any(|other| other.spec.plural == plural)
        || survey.compositions.values().any(|other| other.plural == plural);
    if is_taken {
        return refuse(format!(
            "there already is a table or a route `{plural}`: write another plural, as in `--plural {plural}_entries`"
        ));
    }
    Ok(())
}

/// Rejects a domain whose types would have names of types that its code imports or that are in the OpenAPI document.
pub(crate) fn check_types(spec: &Spec, survey: &Survey, reserved: &BTreeSet<String>) -> Result<(), Refusal> {
    let types = own_types(spec);
    let others: BTreeSet<String> = survey.specs().values().flat_map(documented_types).collect();
    let is_taken =
        |name: &&String| reserved.contains(*name) || survey.schemas.contains(*name) || others.contains(*name);
    if let Some(clash) = types.iter().find(is_taken) {
        return refuse(format!(
            "a domain `{}` would have a type `{clash}`, but there already is a type of that name: choose another name for the domain",
            spec.name
        ));
    }
    if reserved.contains(&spec.name) {
        return refuse(format!(
            "`{}` is a name that generated code uses: choose another name for the domain",
            spec.name
        ));
    }
    check_choices(spec, &spec.fields, survey)
}

/// Whether a domain could have this name: the names of the domain, its table, its route and its types are unused.
pub(crate) fn is_free(name: &str, plural: &str, survey: &Survey) -> bool {
    check_name(name, survey).is_ok()
        && check_plural(plural, survey).is_ok()
        && !types_of(name, plural).iter().any(|name| survey.schemas.contains(name))
}

fn own_types(spec: &Spec) -> Vec<String> {
    types_of(&spec.name, &spec.plural)
}

fn types_of(name: &str, plural: &str) -> Vec<String> {
    let (one, many) = (pascal(name), pascal(plural));
    let endings = ["", "Id", "Kind", "Filter", "Error", "Rows", "Service"];
    let types = endings.iter().map(|ending| format!("{one}{ending}"));
    types.chain([many, format!("Create{one}"), format!("Update{one}")]).collect()
}

/// The types of a domain in the OpenAPI document, including its enums. The document may be older than the domain.
fn documented_types(spec: &Spec) -> Vec<String> {
    let one = pascal(&spec.name);
    let enums = spec.fields.iter().filter(|field| matches!(field.kind, Kind::Enum(_)));
    let enums = enums.map(|field| format!("{one}{}", pascal(&field.name)));
    ["Filter", "Sort", ""].iter().map(|ending| format!("{one}{ending}")).chain(enums).collect()
}

/// Rejects enums whose types would have names of other types in the OpenAPI document.
pub(crate) fn check_choices(spec: &Spec, fields: &[Field], survey: &Survey) -> Result<(), Refusal> {
    for field in fields.iter().filter(|field| matches!(field.kind, Kind::Enum(_))) {
        let name = format!("{}{}", pascal(&spec.name), pascal(&field.name));
        if survey.schemas.contains(&name) {
            return refuse(format!(
                "the field `{}` would have a type `{name}`, but there already is a type of that name: choose another name for the field",
                field.name
            ));
        }
    }
    Ok(())
}

/// Rejects fields that can't be in one table together.
pub(crate) fn check_fields(spec: &Spec) -> Result<(), Refusal> {
    if spec.fields.len() > MOST_FIELDS {
        let count = spec.fields.len();
        return refuse(format!(
            "a domain has at most {MOST_FIELDS} fields, and this one has {count}: move some to a domain of their own"
        ));
    }
    if spec.fields.iter().filter(|field| field.owner).count() > 1 {
        return refuse("a row has only one owner: keep `owner` at one field");
    }
    if spec.fields.iter().all(|field| field.owner) {
        return refuse(
            "a domain has at least one field, not counting its owner: write one, as in `title:string:1..200`",
        );
    }
    check_derived(&spec.fields)?;
    check_parameters(&spec.fields)?;
    spec.fields.iter().try_for_each(|field| check_length(spec, field))
}

/// A field has several names: its own, those of its column and of its normalized column, and that in responses.
fn check_derived(fields: &[Field]) -> Result<(), Refusal> {
    let mut seen: BTreeMap<String, &Field> = BTreeMap::new();
    for field in fields {
        let own: BTreeSet<String> = derived(field).into_iter().collect();
        if let Some(name) = own.iter().find(|name| TAKEN_COLUMNS.contains(&name.as_str())) {
            return refuse(format!(
                "every table already has a column `{name}`: choose another name for the field `{}`",
                field.name
            ));
        }
        // `line1` and `line_1` would be one name in Rust.
        for name in own.iter().map(|name| pascal(name)).collect::<BTreeSet<_>>() {
            if let Some(other) = seen.insert(name, field) {
                return refuse(clash(other, field));
            }
        }
    }
    Ok(())
}

fn derived(field: &Field) -> Vec<String> {
    let mut names = vec![field.name.clone(), field.column(), field.shown()];
    names.extend(field.normalized_column());
    names
}

fn clash(one: &Field, other: &Field) -> String {
    if one.name == other.name {
        return format!("there are two fields `{}`: remove one, or rename it", one.name);
    }
    let shared = derived(one).into_iter().find(|name| derived(other).contains(name));
    let what = match shared {
        Some(name) => format!("would both be named `{name}` in the table or in the API"),
        None => "would have the same name in code".to_owned(),
    };
    format!("the fields `{}` and `{}` {what}: rename one of them", one.name, other.name)
}

fn check_parameters(fields: &[Field]) -> Result<(), Refusal> {
    let mut seen: BTreeMap<String, &Field> = BTreeMap::new();
    for field in fields.iter().filter(|field| field.filter || field.sort || field.search) {
        if TAKEN_PARAMETERS.contains(&field.name.as_str()) {
            let name = &field.name;
            return refuse(format!(
                "every list already has a parameter `{name}`: choose another name for the field `{name}`, or remove `filter`, `sort` and `search`"
            ));
        }
        for name in parameters(field) {
            if let Some(other) = seen.insert(name.clone(), field) {
                return refuse(format!(
                    "the filters of `{}` and `{}` would both be named `{name}` in the query: rename one of the fields",
                    other.name, field.name
                ));
            }
        }
    }
    Ok(())
}

/// The query parameters of a list for this field.
pub(crate) fn parameters(field: &Field) -> Vec<String> {
    let column = field.column();
    let suffixed = |suffixes: &[&str]| suffixes.iter().map(|suffix| format!("{column}{suffix}")).collect();
    match field.kind {
        _ if !field.filter => Vec::new(),
        Kind::Int | Kind::BigInt | Kind::Decimal { .. } | Kind::Float => suffixed(&["", "_min", "_max"]),
        Kind::Date | Kind::Timestamp => suffixed(&["", "_after", "_before"]),
        _ => vec![column],
    }
}

fn check_length(spec: &Spec, field: &Field) -> Result<(), Refusal> {
    let column =
        field.normalized_column().into_iter().chain([field.column()]).map(|column| column.len()).max();
    let constraint = spec.plural.len() + 1 + column.unwrap_or_default() + LONGEST_SUFFIX.len();
    let length =
        index_names(spec, field).map(|name| name.len()).chain([constraint]).max().unwrap_or_default();
    if length <= LONGEST_CONSTRAINT {
        return Ok(());
    }
    let over = length - LONGEST_CONSTRAINT;
    refuse(format!(
        "the names of `{}` and its table `{}` are together too long for PostgreSQL: shorten one of them by {over} characters",
        field.name, spec.plural
    ))
}

/// Rejects references to unknown domains, and to domains that were not generated.
pub(crate) fn check_references(spec: &Spec, survey: &Survey) -> Result<(), Refusal> {
    for field in &spec.fields {
        if field.kind == Kind::Upload && !survey.crates.contains(UPLOADS) {
            return refuse(format!(
                "the field `{}` is a file, and this workspace has no uploads: remove it, or write `{}:url`",
                field.name, field.name
            ));
        }
        let Kind::Ref(target) = &field.kind else { continue };
        if *target == spec.name && !field.optional {
            return refuse(format!(
                "the field `{}` refers to its own domain, so the first row would have no row to refer to: add `optional`",
                field.name
            ));
        }
        let is_known = target == USERS || *target == spec.name || survey.generated.contains_key(target);
        if !is_known {
            let known: Vec<&str> =
                std::iter::once(USERS).chain(survey.generated.keys().map(String::as_str)).collect();
            let first = if survey.crates.contains(target) { "" } else { ", or generate that domain first" };
            return refuse(format!(
                "the field `{}` can't refer to `{target}`: write one of {}{first}",
                field.name,
                known.join(", ")
            ));
        }
        check_acyclic(spec, field, target, survey)?;
        check_within(spec, field)?;
    }
    Ok(())
}

/// Rejects `within` where the two rows have no reference in common.
fn check_within(spec: &Spec, field: &Field) -> Result<(), Refusal> {
    let Some(other) = &field.within else { return Ok(()) };
    if field.kind != Kind::Ref(spec.name.clone()) {
        return refuse(format!(
            "the field `{}` refers to another domain, and `within` compares rows of one domain: remove `within`",
            field.name
        ));
    }
    let common = spec.common_references();
    if common.iter().any(|common| common.name == *other) {
        return Ok(());
    }
    let names: Vec<String> = common.iter().map(|common| format!("`within={}`", common.name)).collect();
    let instead =
        if names.is_empty() { "remove it".to_owned() } else { format!("write {}", names.join(" or ")) };
    refuse(format!(
        "in the field `{}`, `within={other}` does not name a reference that two rows can have in common: {instead}",
        field.name
    ))
}

/// Two crates cannot depend on each other, so a domain cannot build on one that builds on it.
fn check_acyclic(spec: &Spec, field: &Field, target: &str, survey: &Survey) -> Result<(), Refusal> {
    let path = (target != spec.name).then(|| survey.path(target, &spec.name)).flatten();
    path.map_or(Ok(()), |path| {
        refuse(format!(
            "the field `{}` can't refer to `{target}`, which builds on `{}` ({}), and two domains can't build on each other: \
             remove it, and find the rows of `{target}` by its own reference",
            field.name,
            spec.name,
            path.join(" -> ")
        ))
    })
}

/// Rejects new fields for which existing rows would have no value.
pub(crate) fn check_added(new: &[Field]) -> Result<(), Refusal> {
    new.iter().try_for_each(|field| match (&field.kind, field.default.is_some()) {
        _ if field.owner => refuse(format!(
            "the field `{}` can't be the owner, because existing rows have none: remove `owner`",
            field.name
        )),
        _ if field.optional => Ok(()),
        (Kind::Ref(_) | Kind::Upload, _) => refuse(format!(
            "the field `{}` is a reference, for which existing rows have no value: add `optional`",
            field.name
        )),
        (Kind::Json, _) => refuse(format!("existing rows have no `{}`: add `optional`", field.name)),
        _ if field.unique => refuse(format!(
            "existing rows can't all have different values of `{}`: add `optional`",
            field.name
        )),
        (_, true) => Ok(()),
        (Kind::Bool, false) => refuse(format!(
            "existing rows have no `{0}`: add `optional`, or set their value, as in `{0}:bool=false`",
            field.name
        )),
        (_, false) => refuse(format!(
            "existing rows have no `{}`: add `optional`, or `:default=` with their value",
            field.name
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grammar;
    use crate::domain::manifest::{Manifest, Migration};

    fn spec(name: &str, fields: &[&str]) -> Spec {
        Spec {
            name: name.to_owned(),
            plural: format!("{name}s"),
            prefix: "abc".to_owned(),
            public_read: false,
            admin_only: false,
            events: true,
            fields: fields.iter().map(|field| grammar::parse(field).unwrap()).collect(),
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn survey() -> Survey {
        let migrations = vec![Migration { name: "m".to_owned(), fields: Vec::new() }];
        let manifest = Manifest { spec: spec("blog", &["a:int"]), migrations, files: BTreeMap::new() };
        Survey {
            generated: [("blog".to_owned(), manifest)].into(),
            crates: set(&["auth", "object-store", "upload-port", "user", "blog"]),
            packages: set(&["serde", "aws_lc_rs"]),
            modules: set(&["application", "gate", "routers"]),
            tables: set(&["users", "signing_keys"]),
            routes: set(&["auth", "users", "odd-things"]),
            schemas: set(&["Problem", "CreateUpload", "UserStatus"]),
            ..Survey::default()
        }
    }

    fn told(result: Result<(), Refusal>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_name_must_be_free() {
        for name in ["post", "blog_post", "order", "page", "union_member"] {
            assert_eq!(check_name(name, &survey()), Ok(()), "{name}");
        }
        let refusals = [
            ("Post", "`Post` is not a valid name: write `post`"),
            ("match", "`match` is a keyword of Rust: choose another name for the domain"),
            ("gen", "`gen` is a keyword of Rust"),
            ("yield", "`yield` is a keyword of Rust"),
            (
                "dto",
                "`dto` is a reserved name (the workspace, Rust or an operating system uses it): choose another name for the domain",
            ),
            ("std", "`std` is a reserved name"),
            ("shared_kernel", "`shared_kernel` is a reserved name"),
            ("gate", "`gate` is a reserved name"),
            (
                "blog",
                "there is a domain `blog` already: choose another name, add fields with `cargo xtask add-field blog …`, or remove it first",
            ),
            ("auth", "`auth` is the name of a folder in crates/ that is not empty"),
            ("serde", "`serde` is the name of a package in Cargo.lock"),
            ("aws_lc_rs", "`aws_lc_rs` is the name of a package in Cargo.lock"),
        ];
        for (name, sentence) in refusals {
            assert!(told(check_name(name, &survey())).starts_with(sentence), "{name}");
        }
    }

    #[test]
    fn a_plural_must_be_free() {
        assert_eq!(check_plural("posts", &survey()), Ok(()));
        for plural in
            ["users", "signing_keys", "auth", "health", "docs", "blogs", "odd_things", "sqlite_x", "uploads"]
        {
            let sentence = format!(
                "there already is a table or a route `{plural}`: write another plural, as in `--plural {plural}_entries`"
            );
            assert_eq!(told(check_plural(plural, &survey())), sentence);
        }
        assert!(told(check_plural("Posts", &survey())).contains("write `posts`"));
    }

    #[test]
    fn types_must_be_free() {
        let reserved = set(&["Page", "SessionError", "number"]);
        let check = |name: &str, fields: &[&str]| check_types(&spec(name, fields), &survey(), &reserved);
        assert_eq!(check("post", &["a:int"]), Ok(()));
        for (name, clash) in [
            ("page", "Page"),
            ("session", "SessionError"),
            ("problem", "Problem"),
            ("upload", "CreateUpload"),
        ] {
            assert!(
                told(check(name, &["a:int"]))
                    .starts_with(&format!("a domain `{name}` would have a type `{clash}`")),
                "{name}"
            );
        }
        assert_eq!(
            told(check("user", &["status:enum=a"])),
            "the field `status` would have a type `UserStatus`, but there already is a type of that name: choose another name for the field"
        );
        assert!(told(check("number", &["a:int"])).starts_with("`number` is a name that generated code uses"));
    }

    #[test]
    fn fields_must_not_get_in_each_others_way() {
        let check = |fields: &[&str]| check_fields(&spec("post", fields));
        assert_eq!(check(&["type:int", "box:string", "self:bool", "q:int", "limit:string"]), Ok(()));
        assert_eq!(check(&["price:int:filter", "price_min:int"]), Ok(()), "only the first is a parameter");
        let refusals: &[(&[&str], &str)] = &[
            (
                &[],
                "a domain has at least one field, not counting its owner: write one, as in `title:string:1..200`",
            ),
            (&["author:ref=user:owner"], "a domain has at least one field, not counting its owner"),
            (&["id:int"], "every table already has a column `id`: choose another name for the field `id`"),
            (&["version:int"], "every table already has a column `version`"),
            (&["deleted_at:timestamp"], "every table already has a column `deleted_at`"),
            (&["ctid:int"], "every table already has a column `ctid`"),
            (&["a:int", "a:string"], "there are two fields `a`: remove one, or rename it"),
            (
                &["author:ref=user", "author_id:int"],
                "the fields `author` and `author_id` would both be named `author_id` in the table or in the API: rename one of them",
            ),
            (
                &["cover:upload", "cover_upload_id:uuid"],
                "the fields `cover` and `cover_upload_id` would both be named",
            ),
            (
                &["a:string:search", "a_normalized:string"],
                "the fields `a` and `a_normalized` would both be named `a_normalized`",
            ),
            (
                &["line1:string", "line_1:string"],
                "the fields `line1` and `line_1` would have the same name in code: rename one of them",
            ),
            (
                &["a:ref=user:owner", "b:ref=user:owner"],
                "a row has only one owner: keep `owner` at one field",
            ),
            (
                &["sort:int:filter"],
                "every list already has a parameter `sort`: choose another name for the field `sort`, or remove `filter`, `sort` and `search`",
            ),
            (&["limit:int:sort"], "every list already has a parameter `limit`"),
            (&["q:string:search"], "every list already has a parameter `q`"),
            (
                &["price:int:filter", "price_min:int:filter"],
                "the filters of `price` and `price_min` would both be named `price_min` in the query: rename one of the fields",
            ),
            (
                &["day:date:filter", "day_after:bool:filter"],
                "the filters of `day` and `day_after` would both be named `day_after`",
            ),
        ];
        for (fields, sentence) in refusals {
            let told = told(check(fields));
            assert!(told.starts_with(sentence), "{fields:?}: {told}");
        }
    }

    #[test]
    fn there_may_be_a_hundred_fields() {
        let fields = |count: usize| (0..count).map(|number| format!("f{number}:int")).collect::<Vec<_>>();
        let check = |count| {
            let fields = fields(count);
            check_fields(&spec("post", &fields.iter().map(String::as_str).collect::<Vec<_>>()))
        };
        assert_eq!(check(100), Ok(()));
        assert!(told(check(101)).starts_with("a domain has at most 100 fields, and this one has 101"));
    }

    #[test]
    fn constraints_have_names_that_postgresql_keeps() {
        let long = "a".repeat(30);
        assert_eq!(check_fields(&spec("post", &[&format!("{long}:string:sort")])), Ok(()));
        let domain = "d".repeat(30);
        let told = told(check_fields(&spec(&domain, &[&format!("{long}:string")])));
        assert!(
            told.ends_with("are together too long for PostgreSQL: shorten one of them by 6 characters"),
            "{told}"
        );
    }

    #[test]
    fn references_lead_to_what_is_there() {
        let check = |fields: &[&str]| check_references(&spec("post", fields), &survey());
        assert_eq!(check(&["a:ref=user:owner", "b:ref=blog", "c:ref=post:optional"]), Ok(()));
        assert_eq!(
            told(check(&["a:ref=auth"])),
            "the field `a` can't refer to `auth`: write one of user, blog"
        );
        assert_eq!(
            told(check(&["a:ref=thing"])),
            "the field `a` can't refer to `thing`: write one of user, blog, or generate that domain first"
        );
        assert_eq!(check(&["b:ref=blog", "c:ref=post:optional:within=b"]), Ok(()));
        assert_eq!(
            told(check(&["b:ref=blog", "u:ref=user", "c:ref=post:optional:within=d"])),
            "in the field `c`, `within=d` does not name a reference that two rows can have in common: write `within=b` or `within=u`"
        );
        assert_eq!(
            told(check(&["a:ref=user:owner", "c:ref=post:optional:within=a"])),
            "in the field `c`, `within=a` does not name a reference that two rows can have in common: remove it"
        );
        assert_eq!(
            told(check(&["b:ref=blog:within=a"])),
            "the field `b` refers to another domain, and `within` compares rows of one domain: remove `within`"
        );
        assert_eq!(
            told(check(&["parent:ref=post"])),
            "the field `parent` refers to its own domain, so the first row would have no row to refer to: add `optional`"
        );
        let survey = Survey {
            builds_on: [("blog".to_owned(), set(&["shelf"])), ("shelf".to_owned(), set(&["post"]))].into(),
            ..survey()
        };
        assert_eq!(
            told(check_references(&spec("post", &["b:ref=blog"]), &survey)),
            "the field `b` can't refer to `blog`, which builds on `post` (blog -> shelf -> post), and two domains can't build on each other: \
             remove it, and find the rows of `blog` by its own reference"
        );
        assert_eq!(check_references(&spec("news", &["b:ref=blog"]), &survey), Ok(()));
        let bare = Survey { crates: set(&["user"]), ..self::survey() };
        assert_eq!(check(&["cover:upload"]), Ok(()));
        assert_eq!(
            told(check_references(&spec("post", &["cover:upload"]), &bare)),
            "the field `cover` is a file, and this workspace has no uploads: remove it, or write `cover:url`"
        );
    }

    #[test]
    fn new_fields_fit_the_rows_that_are_there() {
        let check = |field| check_added(&[grammar::parse(field).unwrap()]);
        for field in [
            "a:string:optional",
            "a:bool=false",
            "a:int:default=3",
            "a:string:unique:optional",
            "a:ref=user:optional",
        ] {
            assert_eq!(check(field), Ok(()), "{field}");
        }
        let refusals = [
            ("a:string", "existing rows have no `a`: add `optional`, or `:default=` with their value"),
            ("a:bool", "existing rows have no `a`: add `optional`, or set their value, as in `a:bool=false`"),
            ("a:json", "existing rows have no `a`: add `optional`"),
            ("a:string:unique", "existing rows can't all have different values of `a`: add `optional`"),
            (
                "a:ref=user",
                "the field `a` is a reference, for which existing rows have no value: add `optional`",
            ),
            (
                "a:upload",
                "the field `a` is a reference, for which existing rows have no value: add `optional`",
            ),
            (
                "a:ref=user:owner",
                "the field `a` can't be the owner, because existing rows have none: remove `owner`",
            ),
        ];
        for (field, sentence) in refusals {
            assert_eq!(told(check(field)), sentence);
        }
    }
}
