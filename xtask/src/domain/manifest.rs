//! `domain.toml`, which records from what a domain was generated.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml_edit::Value;

use super::grammar;
use super::names;
use super::plan::lines;
use super::spec::Spec;

const HEAD: &str = "\
# What this crate was made from. `cargo xtask add-field` and `cargo xtask remove-domain` read it, and write it again; a change by
# hand changes no code. `[files]` has the SHA-256 of each file as it was generated, so that edits are seen and kept.
";

/// A generated domain: its specification, and the generated files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) spec: Spec,
    /// The migration that created its table, then one for each `add-field`.
    pub(crate) migrations: Vec<Migration>,
    /// The generated files, relative to the root of the workspace, with the hashes of their rendered texts.
    pub(crate) files: BTreeMap<String, String>,
}

/// A migration of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    /// Its module: `m20261121_000005_create_posts`.
    pub(crate) name: String,
    /// The names of the fields that it added; empty for the first, which created the table.
    pub(crate) fields: Vec<String>,
}

/// Path of the manifest of a domain.
pub(crate) fn path(name: &str) -> String {
    format!("crates/{name}/domain.toml")
}

/// The SHA-256 of the lines of a text, in hexadecimal digits, independent of the line endings.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(lines(text)).iter().fold(String::new(), |digits, byte| {
        let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
        digits + &String::from_iter([hex(byte >> 4), hex(byte & 15)])
    })
}

impl Manifest {
    /// Its text, which is deterministic.
    pub(crate) fn text(&self) -> String {
        let Spec { name, plural, prefix, public_read, admin_only, events, fields } = &self.spec;
        let quoted = |text: &str| Value::from(text).to_string();
        let list = |items: &[String]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>();
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "{HEAD}\nname = \"{name}\"\nplural = \"{plural}\"\nprefix = \"{prefix}\"\npublic_read = {public_read}\nadmin_only = {admin_only}\nevents = {events}\nfields = [\n    {},\n]\n",
            list(&fields).join(",\n    ")
        );
        for migration in &self.migrations {
            text.push_str("\n[[migrations]]\n");
            text.extend(["name = \"", &migration.name, "\"\n"]);
            if !migration.fields.is_empty() {
                text.extend(["fields = [", &list(&migration.fields).join(", "), "]\n"]);
            }
        }
        text.push_str("\n[files]\n");
        for (path, hash) in &self.files {
            text.extend([&quoted(path), " = \"", hash, "\"\n"]);
        }
        text
    }

    /// Parses it; any text that [`Self::text`] does not write is an error.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let raw: Raw =
            toml_edit::de::from_str(text).context("it does not have the format that new-domain writes")?;
        // Here a refusal is not due to the arguments, but to an invalid file.
        let field = |field: &String| grammar::parse(field).map_err(|refusal| anyhow!("{refusal}"));
        let fields = raw.fields.iter().map(field).collect::<Result<Vec<_>>>()?;
        for name in
            [&raw.name, &raw.plural].into_iter().chain(raw.migrations.iter().map(|migration| &migration.name))
        {
            names::check(name, 200).map_err(anyhow::Error::msg)?;
        }
        if fields.is_empty() || raw.migrations.is_empty() {
            bail!("it has no field or no migration");
        }
        for (path, hash) in &raw.files {
            check_file(path, hash)?;
        }
        let Raw { name, plural, prefix, public_read, admin_only, events, migrations, files, .. } = raw;
        let spec = Spec { name, plural, prefix, public_read, admin_only, events, fields };
        let migrations =
            migrations.into_iter().map(|RawMigration { name, fields }| Migration { name, fields });
        Ok(Self { spec, migrations: migrations.collect(), files })
    }
}

/// These files are deleted, so no path may lead outside of the workspace.
pub(super) fn check_file(path: &str, hash: &str) -> Result<()> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !inside || path.is_empty() || !is_hash {
        bail!("its line for the file `{path}` was not written by new-domain");
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    plural: String,
    prefix: String,
    public_read: bool,
    admin_only: bool,
    events: bool,
    fields: Vec<String>,
    migrations: Vec<RawMigration>,
    files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMigration {
    name: String,
    #[serde(default)]
    fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let fields =
            ["title:string:1..200:unique", "say:string:default=\"it's\" \\ a:b", "author:ref=user:owner"];
        let added =
            Migration { name: "m20261122_000001_add_say_to_posts".into(), fields: vec!["say".into()] };
        Manifest {
            spec: Spec {
                name: "post".into(),
                plural: "posts".into(),
                prefix: "pst".into(),
                public_read: true,
                admin_only: false,
                events: true,
                fields: fields.map(|field| grammar::parse(field).unwrap()).to_vec(),
            },
            migrations: vec![
                Migration { name: "m20261121_000005_create_posts".into(), fields: vec![] },
                added,
            ],
            files: [("crates/post/Cargo.toml", "a"), ("crates/post/src/dto.rs", "b")]
                .map(|(path, text)| (path.to_owned(), hash(text)))
                .into(),
        }
    }

    #[test]
    fn it_is_written_in_one_way_and_read_as_the_same() {
        let text = manifest().text();
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            r#"
name = "post"
plural = "posts"
prefix = "pst"
public_read = true
admin_only = false
events = true
fields = [
    "title:string:1..200:unique",
    '''say:string:default="it's" \ a:b''',
    "author:ref=user:owner",
]

[[migrations]]
name = "m20261121_000005_create_posts"

[[migrations]]
name = "m20261122_000001_add_say_to_posts"
fields = ["say"]

[files]
"crates/post/Cargo.toml" = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
"crates/post/src/dto.rs" = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
"#
        );
        assert_eq!(Manifest::parse(&text).unwrap(), manifest());
    }

    #[test]
    fn what_was_not_written_so_is_refused() {
        let text = manifest().text();
        let told =
            |from: &str, to: &str| format!("{:#}", Manifest::parse(&text.replace(from, to)).unwrap_err());
        assert!(told("events = true", "event = true").contains("unknown field `event`"));
        assert!(told("events = true\n", "").contains("missing field `events`"));
        assert!(told("name = \"post\"", "name = \"../post\"").contains("`../post` is not a valid name"));
        assert!(told("title:string", "title:strng").contains("there is no type `strng`"));
        assert!(
            told("crates/post/Cargo.toml", "../Cargo.toml").contains("its line for the file `../Cargo.toml`")
        );
        assert!(told("crates/post/Cargo.toml", "/etc/passwd").contains("`/etc/passwd`"));
        assert!(told("ca978112", "").contains("its line for the file"));
        assert!(told("[files]", "[[files]]").contains("does not have the format"));
    }
}
