//! Banned packages, licences and registries: the lists of `deny.toml`, which cargo-deny reads too.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item};

use super::facts::Origin;
use crate::licence;

/// Packages of which only one version is allowed, with the reason.
const ONCE: [(&str, &str); 6] = [
    ("aws-lc-rs", "there is one crypto backend"),
    ("libsqlite3-sys", "with two of them, the bundled SQLite silently stays at an old version"),
    ("rustls", "the crypto provider is installed for one rustls"),
    ("sea-orm", "types of different versions are not compatible"),
    ("sqlx", "with two of them, the bundled SQLite silently stays at an old version and double the build"),
    (
        "sqlx-core",
        "with two of them, the bundled SQLite silently stays at an old version and double the build",
    ),
];

/// The rules in `deny.toml`.
#[derive(Debug)]
pub(super) struct Policy {
    bans: BTreeMap<String, String>,
    licences: Vec<String>,
    registries: Vec<String>,
}

impl Policy {
    /// Parses the text of the file.
    pub(super) fn read(text: &str) -> Result<Self> {
        let document: DocumentMut = text.parse().context("deny.toml is not valid TOML")?;
        let list = |table: &str, key: &str| {
            let found = document.get(table).and_then(|table| table.get(key)).and_then(Item::as_array);
            found.with_context(|| format!("deny.toml has no list `{key}` in [{table}]"))
        };
        let texts = |table: &str, key: &str| -> Result<Vec<String>> {
            Ok(list(table, key)?.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
        };
        let mut bans = BTreeMap::new();
        for ban in list("bans", "deny")?.iter().filter_map(|value| value.as_inline_table()) {
            let field = |key: &str| ban.get(key).and_then(|value| value.as_str()).map(str::to_owned);
            let name = field("crate").context("a ban in deny.toml has no `crate`")?;
            let reason =
                field("reason").with_context(|| format!("the ban of {name} in deny.toml has no reason"))?;
            bans.insert(name, reason);
        }
        let licences = texts("licenses", "allow")?;
        Ok(Self { bans, licences, registries: texts("sources", "allow-registry")? })
    }

    /// One sentence for each package that breaks a rule.
    pub(super) fn violations(&self, packages: &[Origin]) -> Vec<String> {
        let banned = packages.iter().filter_map(|package| self.ban(package));
        let licences = packages.iter().filter_map(|package| self.licence(package));
        let sources = packages.iter().filter_map(|package| self.source(package));
        banned.chain(licences).chain(sources).chain(duplicates(packages)).collect()
    }

    fn ban(&self, package: &Origin) -> Option<String> {
        let reason = self.bans.get(&package.name)?;
        let name = &package.name;
        Some(format!(
            "{name} is banned: {reason}; `cargo tree --workspace -e normal,build -i {name}` shows which package depends on it."
        ))
    }

    fn licence(&self, package: &Origin) -> Option<String> {
        let allowed = |name: &str| self.licences.iter().any(|licence| licence == name);
        let expression = package.licence.as_deref().unwrap_or_default();
        if licence::is_met(expression, &allowed) {
            return None;
        }
        let (name, version) = (&package.name, &package.version);
        let given = if expression.is_empty() { "names no licence" } else { expression };
        Some(format!(
            "{name} {version} ({given}) has no licence that deny.toml allows, so it must not be distributed: replace the package, or add the licence with its reason."
        ))
    }

    fn source(&self, package: &Origin) -> Option<String> {
        let source = package.source.as_deref()?;
        let known = |registry: &String| source.strip_prefix("registry+") == Some(registry.as_str());
        if self.registries.iter().any(known) {
            return None;
        }
        Some(format!(
            "{} {} comes from {source}, which can change or disappear without notice: use the package from crates.io.",
            package.name, package.version
        ))
    }
}

fn duplicates(packages: &[Origin]) -> impl Iterator<Item = String> {
    ONCE.iter().filter_map(|(name, reason)| {
        let found = packages.iter().filter(|package| package.name == *name);
        let versions: Vec<&str> = found.map(|package| package.version.as_str()).collect();
        (versions.len() > 1).then(|| {
            let list = versions.join(" and ");
            format!("{name} is linked in the versions {list}, but {reason}: `cargo tree -i {name}@VERSION` shows which package depends on each; update them to one version.")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [bans]
        deny = [{ crate = "ring", reason = "one backend" }]
        [licenses]
        allow = ["MIT"]
        [sources]
        allow-registry = ["https://registry"]
    "#;

    fn package(name: &str) -> Origin {
        Origin {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: Some("registry+https://registry".to_owned()),
            licence: Some("MIT OR GPL-3.0".to_owned()),
        }
    }

    fn violations(packages: &[Origin]) -> Vec<String> {
        Policy::read(DENY).unwrap().violations(packages)
    }

    #[test]
    fn a_harmless_graph_breaks_nothing() {
        let member = Origin { source: None, ..package("auth") };
        assert!(violations(&[package("serde"), member]).is_empty());
    }

    #[test]
    fn a_banned_package_is_named_with_its_reason() {
        let found = violations(&[package("ring")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("ring is banned: one backend"), "{found:?}");
    }

    #[test]
    fn licences_and_sources_are_checked() {
        let gpl = Origin { licence: Some("GPL-3.0".to_owned()), ..package("a") };
        let none = Origin { licence: None, ..package("b") };
        let git = Origin { source: Some("git+https://registry".to_owned()), ..package("c") };
        let found = violations(&[gpl, none, git]);
        assert_eq!(found.len(), 3);
        assert!(
            found[0].contains("GPL-3.0")
                && found[1].contains("names no licence")
                && found[2].contains("git+")
        );
    }

    #[test]
    fn two_versions_of_sqlx_are_refused_and_of_others_not() {
        let second = |name| Origin { version: "2.0.0".to_owned(), ..package(name) };
        assert!(violations(&[package("rand"), second("rand")]).is_empty());
        let found = violations(&[package("sqlx"), second("sqlx")]);
        assert!(found[0].contains("1.0.0 and 2.0.0"), "{found:?}");
    }

    #[test]
    fn a_ban_needs_a_reason() {
        let bare = DENY.replace(r#", reason = "one backend""#, "");
        assert!(Policy::read(&bare).unwrap_err().to_string().contains("ring"));
    }
}
