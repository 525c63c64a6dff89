//! The line that describes a field, `name:type[=argument][:modifier]…`, parsed and written.

mod kinds;
mod modifiers;
mod nearest;
mod range;
#[cfg(test)]
mod tests;
mod values;
mod write;

use super::names;
use super::refusal::Refusal;
use super::spec::{Field, Kind, OnDelete, Range, Spec, USERS};
use crate::process::Invocation;

/// What an index and a cursor hold, however the text grows when it is normalized: see `PageQuery` in the kernel.
const LONGEST_INDEXED: u64 = 255;

/// Parses the field in `text`. The rules across several fields are not checked here.
pub(crate) fn parse(text: &str) -> Result<Field, Refusal> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    names::check(name, names::LONGEST)
        .map_err(|what| Refusal::new(format!("in the field `{text}`, {what}")))?;
    read(name, rest).map_err(|what| Refusal::new(format!("in the field `{text}`, {what}")))
}

fn read(name: &str, rest: &str) -> Result<Field, String> {
    let parts = modifiers::split(rest)?;
    let (kind, others) = parts.split_first().map_or(("", &[][..]), |(kind, others)| (kind.as_str(), others));
    let mut field = plain(name, kinds::parse(kind)?);
    for part in others {
        modifiers::add(&mut field, part)?;
    }
    settle(field)
}

/// A field with only its type, and the default of a `bool`.
fn plain(name: &str, (kind, default): (Kind, Option<String>)) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        optional: false,
        unique: false,
        index: false,
        filter: false,
        sort: false,
        search: false,
        owner: false,
        range: Range::default(),
        default,
        on_delete: None,
        within: None,
    }
}

/// Checks the modifiers against each other and sets the defaults.
fn settle(mut field: Field) -> Result<Field, String> {
    if field.owner {
        check_owner(&field)?;
    }
    if field.on_delete == Some(OnDelete::SetNull) && !field.optional {
        return Err(
            "`set-null` needs a field that may be empty: add `optional`, or write `cascade` or `restrict`"
                .into(),
        );
    }
    field.on_delete = field.on_delete.or_else(|| default_on_delete(&field));
    field.range = range::settle(&field.kind, &field.range)?;
    check_length(&field)?;
    let Some(default) = field.default.take() else { return Ok(field) };
    if field.optional {
        return Err("`optional` and a default both define the value if it is absent: remove one".into());
    }
    if field.unique {
        return Err("with `unique`, only one row could have the default: remove one".into());
    }
    let default = values::default(&field, &default)?;
    if (field.sort || field.search) && field.is_text() && !default.is_ascii() {
        return Err("the default of a field that is searched or sorted by must be ASCII, because existing rows get it without normalization".into());
    }
    field.default = Some(default);
    Ok(field)
}

/// A key of an index must fit into a page of it (PostgreSQL manual, "B-Tree Indexes": about 2,700 bytes), and the cursor of a page
/// contains the value by which the list is sorted.
fn check_length(field: &Field) -> Result<(), String> {
    let longest = field.range.max.as_deref().and_then(|max| max.parse::<u64>().ok());
    if field.kind != Kind::String || longest <= Some(LONGEST_INDEXED) {
        return Ok(());
    }
    let words =
        [(field.sort, "sort"), (field.unique, "unique"), (field.filter, "filter"), (field.index, "index")];
    match words.iter().find(|(is_there, _)| *is_there) {
        Some((_, word)) => Err(format!(
            "`{word}` accepts texts of at most {LONGEST_INDEXED} characters, because indexes and cursors are limited in size: remove it, or write `..{LONGEST_INDEXED}`"
        )),
        None => Ok(()),
    }
}

fn check_owner(field: &Field) -> Result<(), String> {
    if field.kind != Kind::Ref(USERS.to_owned()) {
        return Err("only a user can own a row: write `ref=user:owner`".into());
    }
    if field.optional {
        return Err("a row always has an owner, the user who creates it: remove `optional`".into());
    }
    Ok(())
}

/// The default action on deletion. Always set on references and uploads, and only there.
fn default_on_delete(field: &Field) -> Option<OnDelete> {
    match field.kind {
        Kind::Ref(_) if field.owner => Some(OnDelete::Cascade),
        Kind::Upload if field.optional => Some(OnDelete::SetNull),
        Kind::Ref(_) | Kind::Upload => Some(OnDelete::Restrict),
        _ => None,
    }
}

/// The command line that generates this domain, quoted for a shell.
pub(crate) fn command_line(spec: &Spec) -> String {
    let mut line = Invocation::new("cargo").args(["xtask", "new-domain", &spec.name]);
    line = line.args(spec.fields.iter().map(ToString::to_string));
    if spec.plural != super::plural::plural(&spec.name) {
        line = line.args(["--plural", &spec.plural]);
    }
    if Some(&spec.prefix) != super::prefix::candidates(&spec.name).next().as_ref() {
        line = line.args(["--prefix", &spec.prefix]);
    }
    let flags = [
        (spec.public_read, "--public-read"),
        (spec.admin_only, "--admin-only"),
        (spec.is_shared(), "--shared"),
        (!spec.events, "--no-events"),
    ];
    line.args(flags.into_iter().filter(|(is_on, _)| *is_on).map(|(_, flag)| flag)).shown()
}
