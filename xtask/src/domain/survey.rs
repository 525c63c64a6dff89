//! What is there already: the domains, and every name that a new one may not have.

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
use crate::product::Product;

/// Where the migrations are listed.
pub(crate) const MIGRATIONS: &str = "migration/src/lib.rs";

/// The workspace, as a new domain meets it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The domains that were generated, by name.
    pub(crate) generated: BTreeMap<String, Manifest>,
    /// Those that were generated without a table.
    pub(crate) compositions: BTreeMap<String, Composition>,
    /// Those that were written by hand and say what belongs to them.
    pub(crate) hand_written: BTreeMap<String, HandWritten>,
    /// The folders in `crates/` with something in them.
    pub(crate) crates: BTreeSet<String>,
    /// What any package in the lock file is called, with `_` for `-`.
    pub(crate) packages: BTreeSet<String>,
    /// The modules of the server and its routers, and the product.
    pub(crate) modules: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    /// What stands behind `/api/v1/`, and what stands there instead.
    pub(crate) routes: BTreeSet<String>,
    /// The names of the schemas in the document.
    pub(crate) schemas: BTreeSet<String>,
    /// The prefixes of ids.
    pub(crate) prefixes: BTreeSet<String>,
    /// The migrations, in their order.
    pub(crate) migrations: Vec<String>,
    /// The file with the list of domains, from the root.
    pub(crate) domains_list: PathBuf,
}

impl Survey {
    /// Looks around in the workspace.
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

    /// What the generated domains are, by name.
    pub(crate) fn specs(&self) -> Specs {
        self.generated.iter().map(|(name, manifest)| (name.clone(), manifest.spec.clone())).collect()
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

/// What is in a folder, sorted; nothing when there is no such folder.
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

/// What the domains remember of how they were made.
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

/// The lock file is written by cargo alone, one `name = "…"` on a line.
/// What any package in the lock file is called, with `_` for `-`.
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
            // Most files have none, and taking text apart takes time.
            if text.contains("const PREFIX") {
                let tokens = source::tokens(&text).with_context(|| format!("in {}", path.display()))?;
                found.extend(source::constants(&tokens, "PREFIX"));
            }
        }
    }
    Ok(found)
}

/// The OpenAPI document; nothing when there is none.
fn document(root: &Path) -> Result<Value> {
    let path = root.join("docs/openapi.json");
    if !path.is_file() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&read(&path)?)
        .context("docs/openapi.json is no JSON: `cargo xtask openapi` writes it again")
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
