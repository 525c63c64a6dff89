//! `domain.toml` of a domain that was written by hand: it lists the parts outside of its folder, so that it can be removed.

use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::names;

/// The value of `made` in the file.
const MADE: &str = "by hand";

/// A domain that was written by hand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandWritten {
    made: String,
    /// Its crate: `upload`.
    pub(crate) name: String,
    /// Crates below `crates/` that are only used by it.
    #[serde(default)]
    pub(crate) crates: Vec<String>,
    /// Files and folders outside of these crates, from the root of the workspace.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    /// Its tables.
    #[serde(default)]
    pub(crate) tables: Vec<String>,
    /// The migrations of its tables.
    #[serde(default)]
    pub(crate) migrations: Vec<String>,
}

impl HandWritten {
    /// Parses a `domain.toml`; `None` if it is that of a generated domain.
    ///
    /// # Errors
    ///
    /// It is not valid TOML, or does not have the format of [`HandWritten`].
    pub(crate) fn parse(text: &str) -> Result<Option<Self>> {
        let table: toml_edit::Document<&str> =
            toml_edit::Document::parse(text).context("it is not valid TOML")?;
        if !table.contains_key("made") {
            return Ok(None);
        }
        let read: Self = toml_edit::de::from_str(text)
            .context("it does not have the format for a domain written by hand")?;
        if read.made != MADE {
            bail!("`made` is `{}`, but only `{MADE}` is supported", read.made);
        }
        for name in [&read.name].into_iter().chain(&read.tables).chain(&read.migrations) {
            names::check(name, 200).map_err(anyhow::Error::msg)?;
        }
        for name in &read.crates {
            names::check(&name.replace('-', "_"), 200).map_err(anyhow::Error::msg)?;
        }
        // These files are deleted, so no path may lead outside of the workspace.
        let is_inside = |path: &&String| {
            let mut parts = Path::new(path).components();
            !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(path) = read.paths.iter().find(|path| !is_inside(path)) {
            bail!("`{path}` is not a path below the root of the workspace");
        }
        Ok(Some(read))
    }

    /// Its crates, its own first.
    pub(crate) fn members(&self) -> impl Iterator<Item = &String> {
        [&self.name].into_iter().chain(&self.crates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "\
made = \"by hand\"
name = \"shop\"
crates = [\"shop-port\"]
paths = [\"tests/src/shop.rs\"]
tables = [\"shops\"]
migrations = [\"m20261121_000001_create_shops\"]
";

    #[test]
    fn what_belongs_to_it_is_read() {
        let shop = HandWritten::parse(SHOP).unwrap().unwrap();
        assert_eq!(shop.members().collect::<Vec<_>>(), ["shop", "shop-port"]);
        assert_eq!((shop.paths.len(), shop.tables.len(), shop.migrations.len()), (1, 1, 1));
        let least = HandWritten::parse("made = \"by hand\"\nname = \"shop\"\n").unwrap().unwrap();
        assert_eq!(least.members().collect::<Vec<_>>(), ["shop"]);
    }

    #[test]
    fn the_record_of_a_generated_domain_is_none() {
        assert_eq!(HandWritten::parse("name = \"post\"\non = [\"order\"]\n").unwrap(), None);
    }

    #[test]
    fn what_has_another_form_is_refused() {
        let told =
            |from: &str, to: &str| format!("{:#}", HandWritten::parse(&SHOP.replace(from, to)).unwrap_err());
        assert!(told("by hand", "by foot").contains("`made` is `by foot`"));
        assert!(told("paths", "path").contains("unknown field `path`"));
        assert!(told("name = \"shop\"\n", "").contains("missing field `name`"));
        assert!(told("\"shop-port\"", "\"../shop\"").contains("is not a valid name"));
        for path in ["../x", "/etc/passwd", "", "a/../../b"] {
            assert!(told("tests/src/shop.rs", path).contains("is not a path below the root"), "{path}");
        }
    }
}
