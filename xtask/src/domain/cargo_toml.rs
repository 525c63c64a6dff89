//! Adds and removes one line of a `Cargo.toml`; all other bytes stay unchanged.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use toml_edit::{Document, Item, TableLike};

/// A dependency of a manifest.
#[derive(Debug)]
struct Entry {
    name: String,
    /// Its range, from its name to the end of its value.
    place: Range<usize>,
    /// It is a crate of the workspace.
    is_path: bool,
}

/// Adds the crate in `crates/NAME` to the root manifest, after the last crate of the workspace.
pub(crate) fn add_member(text: &str, name: &str) -> Result<String> {
    let table = ["workspace", "dependencies"];
    let entries = entries(text, &table)?;
    expect_absent(&entries, name)?;
    let last = entries.iter().rfind(|entry| entry.is_path);
    let last = last.context("[workspace.dependencies] has no crate of the workspace, with a `path`")?;
    let edited = insert_after(text, last, &format!("{name} = {{ path = \"crates/{name}\" }}"));
    checked(edited, &table, &with(&entries, name))
}

/// The names of the crates of the workspace in the root manifest.
pub(crate) fn members(text: &str) -> Result<BTreeSet<String>> {
    let entries = entries(text, &["workspace", "dependencies"])?;
    Ok(entries.into_iter().filter(|entry| entry.is_path).map(|entry| entry.name).collect())
}

/// Removes that crate from the root manifest.
pub(crate) fn remove_member(text: &str, name: &str) -> Result<String> {
    remove(text, &["workspace", "dependencies"], name)
}

/// Adds `NAME.workspace = true` to the manifest of a member, after the last crate of the workspace that precedes it
/// alphabetically.
pub(crate) fn add_dependency(text: &str, name: &str, members: &BTreeSet<String>) -> Result<String> {
    let table = ["dependencies"];
    let entries = entries(text, &table)?;
    expect_absent(&entries, name)?;
    let line = format!("{name}.workspace = true");
    let mut own = entries.iter().filter(|entry| members.contains(&entry.name));
    let before = own.clone().rfind(|entry| entry.name.as_str() < name);
    let edited = match (before, own.next()) {
        (Some(before), _) => insert_after(text, before, &line),
        (None, Some(first)) => insert_before(text, first, &line),
        (None, None) => insert_after(text, entries.last().context("[dependencies] is empty")?, &line),
    };
    checked(edited, &table, &with(&entries, name))
}

/// Adds `line` for the dependency `name` to a table of the manifest of a member, in the order of the alphabet, unless it is there.
pub(crate) fn require(text: &str, table: &str, name: &str, line: &str) -> Result<String> {
    if parse(text)?.get(table).is_none() {
        return Ok(format!("{}\n\n[{table}]\n{line}\n", text.trim_end()));
    }
    let entries = entries(text, &[table])?;
    if entries.iter().any(|entry| entry.name == name) {
        return Ok(text.to_owned());
    }
    let edited = match entries.iter().rfind(|entry| entry.name.as_str() < name) {
        Some(before) => insert_after(text, before, line),
        None => insert_before(text, entries.first().with_context(|| format!("[{table}] is empty"))?, line),
    };
    checked(edited, &[table], &with(&entries, name))
}

/// Removes that dependency from the manifest of a member.
pub(crate) fn remove_dependency(text: &str, name: &str) -> Result<String> {
    remove(text, &["dependencies"], name)
}

/// Whether the manifest of a member has a dependency on this crate, including those of tests and build scripts.
pub(crate) fn depends_on(text: &str, name: &str) -> Result<bool> {
    let document = parse(text)?;
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let has = |table| {
        document
            .as_table()
            .get(table)
            .and_then(Item::as_table_like)
            .is_some_and(|table| table.contains_key(name))
    };
    Ok(tables.into_iter().any(has))
}

/// The `description` of a package.
pub(crate) fn description(text: &str) -> Result<Option<String>> {
    let document = parse(text)?;
    let package = document.as_table().get("package").and_then(|package| package.get("description"));
    Ok(package.and_then(Item::as_str).map(str::to_owned))
}

fn parse(text: &str) -> Result<Document<&str>> {
    Document::parse(text).context("it is not valid TOML")
}

fn entries(text: &str, path: &[&str]) -> Result<Vec<Entry>> {
    let document = parse(text)?;
    let mut item = Some(document.as_item());
    for key in path {
        item = item.and_then(|item| item.get(key));
    }
    let table =
        item.and_then(Item::as_table_like).with_context(|| format!("there is no [{}]", path.join(".")))?;
    let mut entries: Vec<Entry> = table.iter().filter_map(|(name, item)| entry(table, name, item)).collect();
    entries.sort_by_key(|entry| entry.place.start);
    Ok(entries)
}

fn entry(table: &dyn TableLike, name: &str, item: &Item) -> Option<Entry> {
    let start = table.key(name)?.span()?;
    let end = ends(item).into_iter().max().unwrap_or(start.end);
    let is_path = item.as_table_like().is_some_and(|item| item.contains_key("path"));
    Some(Entry { name: name.to_owned(), place: start.start..end.max(start.end), is_path })
}

/// The ends of all values in it, because a dotted key has no end of its own.
fn ends(item: &Item) -> Vec<usize> {
    let below =
        item.as_table_like().into_iter().flat_map(|table| table.iter().flat_map(|(_, item)| ends(item)));
    item.span().map(|span| span.end).into_iter().chain(below).collect()
}

fn expect_absent(entries: &[Entry], name: &str) -> Result<()> {
    if entries.iter().any(|entry| entry.name == name) {
        bail!("there is a dependency `{name}` already");
    }
    Ok(())
}

fn insert_after(text: &str, entry: &Entry, line: &str) -> String {
    match text[entry.place.end..].find('\n') {
        Some(at) => {
            let (before, after) = text.split_at(entry.place.end + at + 1);
            format!("{before}{line}\n{after}")
        }
        None => format!("{text}\n{line}"),
    }
}

fn insert_before(text: &str, entry: &Entry, line: &str) -> String {
    let (before, after) = text.split_at(line_start(text, entry.place.start));
    format!("{before}{line}\n{after}")
}

fn remove(text: &str, path: &[&str], name: &str) -> Result<String> {
    let entries = entries(text, path)?;
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        bail!("[{}] has no `{name}`", path.join("."));
    };
    let start = line_start(text, entry.place.start);
    let edited = match text[entry.place.end..].find('\n') {
        Some(at) => format!("{}{}", &text[..start], &text[entry.place.end + at + 1..]),
        None => text[..start].trim_end_matches('\n').to_owned(),
    };
    let others = entries.iter().map(|entry| entry.name.as_str()).filter(|other| *other != name);
    checked(edited, path, &others.collect())
}

fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |at| at + 1)
}

fn with<'a>(entries: &'a [Entry], name: &'a str) -> BTreeSet<&'a str> {
    entries.iter().map(|entry| entry.name.as_str()).chain([name]).collect()
}

/// Checks the result of an edit, because this code may not support every layout.
fn checked(edited: String, path: &[&str], wanted: &BTreeSet<&str>) -> Result<String> {
    let found = entries(&edited, path).unwrap_or_default();
    let found: BTreeSet<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
    if found != *wanted {
        bail!(
            "[{}] can't be edited in this layout: write each dependency on a line of its own",
            path.join(".")
        );
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "\
# One workspace.
[workspace]
members = [\"crates/*\"]

[workspace.dependencies]
# Crates of this workspace.
user = { path = \"crates/user\" }
migration = { path = \"migration\" } # the schema

# HTTP.
http = \"1\"   # odd   spacing
serde = { version = \"1\", features = [
    \"derive\",
] }

[profile.dev]
debug = 1
";

    const SERVER: &str = "\
[package]
name = \"server\"

[dependencies]
shared-kernel.workspace = true
user.workspace = true
auth.workspace = true
upload.workspace = true
actix-web.workspace = true

[dev-dependencies]
tempfile.workspace = true
";

    fn own() -> BTreeSet<String> {
        ["shared-kernel", "user", "auth", "upload"].map(str::to_owned).into()
    }

    #[test]
    fn a_member_goes_behind_the_last_crate_of_the_workspace() {
        let added = add_member(ROOT, "post").unwrap();
        let line = "migration = { path = \"migration\" } # the schema\n";
        assert_eq!(added, ROOT.replace(line, &format!("{line}post = {{ path = \"crates/post\" }}\n")));
        let both = add_member(&added, "blog").unwrap();
        assert!(both.contains("crates/post\" }\nblog = { path = \"crates/blog\" }\n\n# HTTP."));
        assert_eq!(
            members(&both).unwrap().into_iter().collect::<Vec<_>>(),
            ["blog", "migration", "post", "user"]
        );
        assert_eq!(remove_member(&added, "post").unwrap(), ROOT);
        assert_eq!(remove_member(&remove_member(&both, "post").unwrap(), "blog").unwrap(), ROOT);
    }

    #[test]
    fn a_dependency_goes_to_its_place_in_the_alphabet() {
        let added = |name| {
            let added = add_dependency(SERVER, name, &own()).unwrap();
            assert_eq!(remove_dependency(&added, name).unwrap(), SERVER);
            added
        };
        assert!(added("post").contains("auth.workspace = true\npost.workspace = true\nupload.workspace"));
        assert!(added("zoo").contains("upload.workspace = true\nzoo.workspace = true\nactix-web"));
        assert!(added("aaa").contains("[dependencies]\naaa.workspace = true\nshared-kernel"));
    }

    #[test]
    fn without_a_neighbour_it_goes_to_the_end() {
        let text = "[dependencies]\nserde = \"1\"";
        let added = add_dependency(text, "post", &own()).unwrap();
        assert_eq!(added, "[dependencies]\nserde = \"1\"\npost.workspace = true");
        assert_eq!(remove_dependency(&added, "post").unwrap(), text);
    }

    #[test]
    fn a_dependency_of_several_lines_goes_as_a_whole() {
        let text = "[dependencies]\na = \"1\"\npost = { workspace = true, features = [\n  \"x\",\n] } # why\nb = \"1\"\n";
        assert_eq!(remove_dependency(text, "post").unwrap(), "[dependencies]\na = \"1\"\nb = \"1\"\n");
        let dotted = "[dependencies]\npost.workspace = true\npost.features = [\"x\"]\nb = \"1\"\n";
        assert_eq!(remove_dependency(dotted, "post").unwrap(), "[dependencies]\nb = \"1\"\n");
    }

    #[test]
    fn impossible_edits_are_errors() {
        let told = |result: Result<String>| result.unwrap_err().to_string();
        assert_eq!(told(add_member(ROOT, "user")), "there is a dependency `user` already");
        assert_eq!(told(remove_member(ROOT, "post")), "[workspace.dependencies] has no `post`");
        assert_eq!(told(add_member("[a]\n", "post")), "there is no [workspace.dependencies]");
        assert_eq!(told(add_dependency("[dependencies", "post", &own())), "it is not valid TOML");
        let apart = "[dependencies]\npost.workspace = true\nb = \"1\"\npost.features = [\"x\"]\n";
        assert!(told(remove_dependency(apart, "post")).contains("can't be edited in this layout"));
    }

    #[test]
    fn dependants_are_found() {
        assert!(depends_on(SERVER, "user").unwrap());
        assert!(depends_on(SERVER, "tempfile").unwrap());
        assert!(!depends_on(SERVER, "post").unwrap());
        assert_eq!(
            description("[package]\nname = \"a\"\ndescription = \"B.\"\n").unwrap().as_deref(),
            Some("B.")
        );
        assert_eq!(description(SERVER).unwrap(), None);
    }
}
