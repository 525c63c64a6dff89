//! Reads the packages from cargo: `cargo metadata` for the dependencies that manifests declare, `cargo tree` for those that are built.
//!
//! The resolve graph of `cargo metadata` is not suitable for the latter: it follows weak features (`ring?/std`), so it lists packages
//! that no build contains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use toml_edit::{Document, Value};

use crate::process::Invocation;
use crate::workspace::Workspace;

/// The parts of `cargo metadata` that the rules need.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: PathBuf,
}

/// A package, of the workspace or not.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its registry or repository; `None` for a path.
    pub(crate) source: Option<String>,
    /// Its licence, an SPDX expression.
    pub(crate) license: Option<String>,
    /// The dependencies in its manifest.
    pub(crate) dependencies: Vec<Dependency>,
    manifest_path: PathBuf,
}

/// A dependency in a manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// Name of the package.
    pub(crate) name: String,
    /// `None` for a normal dependency, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
    path: Option<PathBuf>,
}

impl Dependency {
    /// True if it is only for tests.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    /// True if it is another member of the workspace.
    pub(crate) fn is_local(&self) -> bool {
        self.path.is_some()
    }
}

impl Package {
    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// `name version`, as cargo tree prints it.
    pub(crate) fn label(&self) -> Built {
        Built { name: self.name.clone(), version: self.version.clone() }
    }
}

impl Metadata {
    /// Reads it from cargo, for the host platform.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let json = Invocation::new("cargo")
            .args(["metadata", "--locked", "--format-version", "1"])
            .current_dir(&workspace.root)
            .capture()?;
        Self::parse(&json)
    }

    /// Parses the JSON of cargo.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).context("the output of cargo metadata could not be parsed")
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Every package in the lock file, by name and version.
    pub(crate) fn by_label(&self) -> BTreeMap<Built, &Package> {
        self.packages.iter().map(|package| (package.label(), package)).collect()
    }

    /// True for a member whose folder is directly in `crates/`.
    pub(crate) fn is_below_crates(&self, package: &Package) -> bool {
        package.folder().parent() == Some(&self.workspace_root.join("crates"))
    }
}

/// A package that a build contains.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Built {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
}

/// The packages that a build of this member for the host links, or with `None` those that a build of the whole workspace links and runs.
pub(crate) fn built(workspace: &Workspace, member: Option<&str>) -> Result<BTreeSet<Built>> {
    let scope: &[&str] = match member {
        Some(name) => &["--package", name, "--edges", "normal"],
        None => &["--workspace", "--edges", "normal,build"],
    };
    let text = Invocation::new("cargo")
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}"])
        .args(scope)
        .current_dir(&workspace.root)
        .capture()?;
    Ok(text.lines().filter_map(parse_built).collect())
}

/// A registry package in a build of tests: `name v1.2.3` and its features, joined by commas.
pub(crate) type Featured = (String, String);

/// The features of all dependencies of the tests of this member, or with `None` of the whole workspace.
pub(crate) fn features(workspace: &Workspace, member: Option<&str>) -> Result<BTreeSet<Featured>> {
    let scope: &[&str] = match member {
        Some(name) => &["--package", name],
        None => &["--workspace"],
    };
    let text = Invocation::new("cargo")
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"])
        .args(["--edges", "normal,build,dev"])
        .args(scope)
        .current_dir(&workspace.root)
        .capture()?;
    Ok(text.lines().filter_map(parse_featured).collect())
}

/// Reads `name v1.2.3 (remark)|feature,feature (*)`; `None` for a member, which is built from its path.
fn parse_featured(line: &str) -> Option<Featured> {
    let (package, features) = line.trim_end_matches(" (*)").split_once('|')?;
    let built = parse_built(package)?;
    (!package.contains("(/")).then(|| (format!("{} v{}", built.name, built.version), features.to_owned()))
}

/// Reads `name v1.2.3 (path or remark)`.
fn parse_built(line: &str) -> Option<Built> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    Some(Built { name, version })
}

/// The domains that a crate says it builds on: `builds-on` below `[package.metadata.domain]` in its manifest.
pub(crate) fn builds_on(manifest: &str) -> Result<BTreeSet<String>> {
    let document = Document::parse(manifest)?;
    let path = ["package", "metadata", "domain", "builds-on"];
    let Some(list) = path.iter().try_fold(document.as_item(), |item, key| item.get(key)) else {
        return Ok(BTreeSet::new());
    };
    let list = list.as_array().context("`builds-on` is no list of domains")?;
    let name = |value: &Value| {
        value.as_str().map(str::to_owned).context("`builds-on` has something in it that is no name")
    };
    list.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_domain_builds_on_stands_in_its_manifest() {
        let declared = |text: &str| builds_on(&format!("[package]\nname = \"x\"\n{text}"));
        assert!(declared("").unwrap().is_empty());
        let found = declared("[package.metadata.domain]\nbuilds-on = [\"user\", \"shelf\"]\n").unwrap();
        assert_eq!(found, ["shelf", "user"].map(str::to_owned).into());
        for wrong in ["\"user\"", "[1]"] {
            assert!(
                declared(&format!("[package.metadata.domain]\nbuilds-on = {wrong}\n")).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_line_of_cargo_tree_is_read() {
        let built = parse_built("auth v0.1.0 (/src/crates/auth)").unwrap();
        assert_eq!((built.name.as_str(), built.version.as_str()), ("auth", "0.1.0"));
        assert!(parse_built("").is_none());
        assert!(parse_built("[build-dependencies]").is_none());
    }

    #[test]
    fn the_features_of_a_registry_package_are_read() {
        let read = |line| parse_featured(line).unwrap();
        assert_eq!(read("mio v1.2.4|log,net (*)"), ("mio v1.2.4".to_owned(), "log,net".to_owned()));
        assert_eq!(read("syn v3.0.9 (proc-macro)|"), ("syn v3.0.9".to_owned(), String::new()));
        assert!(parse_featured("auth v0.1.0 (/src/crates/auth)|").is_none());
    }
}
