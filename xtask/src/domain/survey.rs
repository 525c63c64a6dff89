//! The existing domains of the workspace, and all names that a new domain must not have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::composition::Composition;
use super::hand_written::HandWritten;
use super::lists;
use super::manifest::{self, Manifest};
use super::source;
use super::view::Specs;
use crate::graph;
use crate::product::Product;

/// The file with the list of migrations.
pub(crate) const MIGRATIONS: &str = "migration/src/lib.rs";

/// The domains and names of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The generated domains with a table, by name.
    pub(crate) generated: BTreeMap<String, Manifest>,
    /// The generated domains without a table.
    pub(crate) compositions: BTreeMap<String, Composition>,
    /// The domains that were written by hand and have a record.
    pub(crate) hand_written: BTreeMap<String, HandWritten>,
    /// The domains that each crate declares to build on.
    pub(crate) builds_on: BTreeMap<String, BTreeSet<String>>,
    /// The folders in `crates/` that are not empty.
    pub(crate) crates: BTreeSet<String>,
    /// The names of all packages in the lock file, with `_` for `-`.
    pub(crate) packages: BTreeSet<String>,
    /// The modules of the server and its routers, and the name of the product.
    pub(crate) modules: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    /// The first path segments after `/api/v1/`, and those of other routes.
    pub(crate) routes: BTreeSet<String>,
    /// The names of the schemas in the OpenAPI document.
    pub(crate) schemas: BTreeSet<String>,
    /// The prefixes of ids.
    pub(crate) prefixes: BTreeSet<String>,
    /// The migrations, in their order.
    pub(crate) migrations: Vec<String>,
    /// The file with the list of domains, relative to the root.
    pub(crate) domains_list: PathBuf,
}

impl Survey {
    /// Reads the workspace.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let crates = crates(root)?;
        let document = document(root)?;
        let listed = lists::names(&read(&root.join(MIGRATIONS))?, "migrations")
            .with_context(|| format!("in {MIGRATIONS}"))?;
        let Records { generated, compositions, hand_written } = records(root, &crates)?;
        let mut prefixes = prefixes(root, &crates)?;
        prefixes.extend(generated.values().map(|manifest| manifest.spec.prefix.clone()));
        let mut modules = modules(root)?;
        modules.extend(Product::find(root)?.map(|product| product.snake()));
        Ok(Self {
            generated,
            compositions,
            hand_written,
            builds_on: builds_on(root, &crates)?,
            packages: packages(root),
            modules,
            tables: tables(root)?,
            routes: document.get("paths").map(routes).unwrap_or_default(),
            schemas: document.pointer("/components/schemas").map(keys).unwrap_or_default(),
            prefixes,
            migrations: listed.with_context(|| format!("{MIGRATIONS} has no `migrations! {{ … }}`"))?,
            domains_list: domains_list(root)?,
            crates,
        })
    }

    /// The path of dependencies from one domain to another that it builds on, directly or not, both included.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        if from == to {
            return Some(vec![to.to_owned()]);
        }
        let rest = self.builds_on.get(from)?.iter().find_map(|next| self.path(next, to))?;
        Some(std::iter::once(from.to_owned()).chain(rest).collect())
    }

    /// The specifications of the generated domains, by name.
    pub(crate) fn specs(&self) -> Specs {
        self.generated.iter().map(|(name, manifest)| (name.clone(), manifest.spec.clone())).collect()
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

/// The entries of a folder, sorted; empty if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    Ok(files(folder)?.into_iter().filter(is_source).collect())
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

fn crates(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for folder in entries(&root.join("crates"))? {
        if !entries(&folder)?.is_empty() {
            found.extend(folder.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    Ok(found)
}

fn builds_on(root: &Path, crates: &BTreeSet<String>) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for name in crates {
        let path = root.join("crates").join(name).join("Cargo.toml");
        if path.is_file() {
            let domains = graph::builds_on(&read(&path)?);
            found.insert(name.clone(), domains.with_context(|| format!("in {}", path.display()))?);
        }
    }
    Ok(found)
}

/// The records of the domains.
#[derive(Default)]
struct Records {
    generated: BTreeMap<String, Manifest>,
    compositions: BTreeMap<String, Composition>,
    hand_written: BTreeMap<String, HandWritten>,
}

fn records(root: &Path, crates: &BTreeSet<String>) -> Result<Records> {
    let mut found = Records::default();
    for name in crates {
        let path = manifest::path(name);
        if !root.join(&path).is_file() {
            continue;
        }
        let text = read(&root.join(&path))?;
        let unusable = || format!("{path} can't be used");
        if let Some(composition) = Composition::parse(&text).with_context(unusable)? {
            found.compositions.insert(name.clone(), composition);
        } else if let Some(hand_written) = HandWritten::parse(&text).with_context(unusable)? {
            found.hand_written.insert(name.clone(), hand_written);
        } else {
            found.generated.insert(name.clone(), Manifest::parse(&text).with_context(unusable)?);
        }
    }
    Ok(found)
}

/// The names of all packages in the lock file, with `_` for `-`. Cargo writes one `name = "…"` on a line.
pub(crate) fn packages(root: &Path) -> BTreeSet<String> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names.map(|name| name.replace('-', "_")).collect()
}

fn modules(root: &Path) -> Result<BTreeSet<String>> {
    let mut paths = entries(&root.join("crates/server/src"))?;
    paths.extend(entries(&root.join("crates/server/src/routers"))?);
    Ok(paths.iter().filter_map(|path| stem(path)).collect())
}

fn tables(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for path in sources(&root.join("migration/src"))? {
        let tokens = source::tokens(&read(&path)?).with_context(|| format!("in {}", path.display()))?;
        found.extend(source::first_arguments(&tokens, &["resource", "table"]));
    }
    Ok(found)
}

fn prefixes(root: &Path, crates: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for name in crates {
        for path in sources(&root.join("crates").join(name).join("src"))? {
            let text = read(&path)?;
            // Most files have none, and parsing takes time.
            if text.contains("const PREFIX") {
                let tokens = source::tokens(&text).with_context(|| format!("in {}", path.display()))?;
                found.extend(source::constants(&tokens, "PREFIX"));
            }
        }
    }
    Ok(found)
}

/// The OpenAPI document; `null` if there is none.
fn document(root: &Path) -> Result<Value> {
    let path = root.join("docs/openapi.json");
    if !path.is_file() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&read(&path)?)
        .context("docs/openapi.json is not valid JSON: run `cargo xtask openapi` to generate it again")
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

fn routes(paths: &Value) -> BTreeSet<String> {
    let first = |path: &String| {
        let below = path.strip_prefix("/api/v1/").unwrap_or(path.trim_start_matches('/'));
        below.split('/').next().unwrap_or_default().to_owned()
    };
    keys(paths).iter().map(first).collect()
}

fn domains_list(root: &Path) -> Result<PathBuf> {
    for path in sources(&root.join("crates/server/src"))? {
        let text = read(&path)?;
        if text.contains("domains!") && lists::names(&text, "domains").is_ok_and(|names| names.is_some()) {
            return Ok(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    anyhow::bail!("no file below crates/server/src has the list `domains! {{ … }}`")
}
