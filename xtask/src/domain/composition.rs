//! A domain without a table, for a rule across the domains that it builds on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml_edit::Value;

use super::manifest::check_file;
use super::names;
use super::spec::{Field, Kind, OnDelete, Range, Spec};

const HEAD: &str = "\
# What this crate was made from. `cargo xtask remove-domain` reads it; a change by hand changes no code. `[files]` has the SHA-256 of
# each file as it was generated, so that edits are seen and kept.
";

/// A generated domain without a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Composition {
    /// Name of the crate, in the singular: `checkout`.
    pub(crate) name: String,
    /// Last segment of its route: `checkouts`.
    pub(crate) plural: String,
    /// The domains that it builds on.
    pub(crate) on: Vec<String>,
    /// The generated files, as in the manifest of other domains.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

impl Composition {
    /// Its `domain.toml`, which is deterministic.
    pub(crate) fn text(&self) -> String {
        let quoted = |text: &String| Value::from(text.as_str()).to_string();
        let on: Vec<String> = self.on.iter().map(quoted).collect();
        let mut text = format!(
            "{HEAD}\nname = \"{}\"\nplural = \"{}\"\non = [{}]\n\n[files]\n",
            self.name,
            self.plural,
            on.join(", ")
        );
        for (path, hash) in &self.files {
            text.extend([&quoted(path), " = \"", hash, "\"\n"]);
        }
        text
    }

    /// Parses a `domain.toml`; `None` if it is that of another kind of domain.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>> {
        let table: toml_edit::Document<&str> =
            toml_edit::Document::parse(text).context("it is not valid TOML")?;
        if !table.contains_key("on") {
            return Ok(None);
        }
        let read: Self =
            toml_edit::de::from_str(text).context("it does not have the format that new-domain writes")?;
        for name in [&read.name, &read.plural].into_iter().chain(&read.on) {
            names::check(name, 200).map_err(anyhow::Error::msg)?;
        }
        if read.on.is_empty() {
            bail!("it builds on no domain");
        }
        read.files.iter().try_for_each(|(path, hash)| check_file(path, hash))?;
        Ok(Some(read))
    }

    /// The command that generates it.
    pub(crate) fn command_line(&self) -> String {
        format!("cargo xtask new-domain {} --on {}", self.name, self.on.join(","))
    }

    /// The members of its request body, as references to rows.
    pub(crate) fn spec(&self) -> Spec {
        Spec {
            name: self.name.clone(),
            plural: self.plural.clone(),
            prefix: String::new(),
            public_read: false,
            admin_only: false,
            events: false,
            fields: self.on.iter().map(|domain| reference(domain)).collect(),
        }
    }
}

fn reference(domain: &str) -> Field {
    Field {
        name: domain.to_owned(),
        kind: Kind::Ref(domain.to_owned()),
        optional: false,
        unique: false,
        index: false,
        filter: false,
        sort: false,
        search: false,
        owner: false,
        range: Range::default(),
        default: None,
        on_delete: Some(OnDelete::Restrict),
        within: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::manifest::hash;

    fn checkout() -> Composition {
        Composition {
            name: "checkout".to_owned(),
            plural: "checkouts".to_owned(),
            on: ["order", "product"].map(str::to_owned).to_vec(),
            files: [("crates/checkout/Cargo.toml".to_owned(), hash("a"))].into(),
        }
    }

    #[test]
    fn it_is_written_in_one_way_and_read_as_the_same() {
        let text = checkout().text();
        let files = format!("[files]\n\"crates/checkout/Cargo.toml\" = \"{}\"\n", hash("a"));
        let wanted = format!(
            "\nname = \"checkout\"\nplural = \"checkouts\"\non = [\"order\", \"product\"]\n\n{files}"
        );
        assert_eq!(text.strip_prefix(HEAD).unwrap(), wanted);
        assert_eq!(Composition::parse(&text).unwrap(), Some(checkout()));
    }

    #[test]
    fn what_has_a_table_or_a_broken_manifest_is_none() {
        assert_eq!(Composition::parse("name = \"post\"\nfields = []\n").unwrap(), None);
        let text = checkout().text();
        for (from, to) in
            [("\"order\", \"product\"", ""), ("crates/checkout", "../checkout"), ("plural", "plurals")]
        {
            assert!(Composition::parse(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}
