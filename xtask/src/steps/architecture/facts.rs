//! The facts about the workspace that the rules check, collected once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::imports::Modules;
use crate::graph::{self, Built, Featured, Metadata, Package};
use crate::workspace::{NO_DOMAINS, Workspace};

/// The modules that every domain crate must have.
pub(super) const MODULES: [&str; 6] = ["model", "dto", "repository", "service", "error", "event"];

/// The facts about the workspace that the rules check.
pub(super) struct Facts {
    /// Its members.
    pub(super) members: Vec<Member>,
    /// The packages that a build for this machine contains.
    pub(super) packages: Vec<Origin>,
    /// The root manifest.
    pub(super) manifest: String,
    /// The dependencies of the tests of all members, with the features that are enabled when all are tested together.
    pub(super) features: BTreeSet<Featured>,
}

/// A member of the workspace.
#[derive(Debug, Default, Clone)]
pub(super) struct Member {
    /// Its package name.
    pub(super) name: String,
    /// True if its folder is in `crates/`.
    pub(super) below_crates: bool,
    /// Its manifest.
    pub(super) manifest: String,
    /// Its `lib.rs`, if it has one.
    pub(super) lib_rs: Option<String>,
    /// Those of [`MODULES`] that it has.
    pub(super) domain_modules: BTreeSet<String>,
    /// The other members that it depends on, in tests too.
    pub(super) uses: BTreeSet<String>,
    /// The other members that it depends on outside tests.
    pub(super) links: BTreeSet<String>,
    /// The domains that its manifest declares under `builds-on`.
    pub(super) builds_on: BTreeSet<String>,
    /// The packages that it links, directly or indirectly.
    pub(super) built: BTreeSet<String>,
    /// Its modules and what they import from each other.
    pub(super) modules: Modules,
    /// The dependencies of its tests, with the features that are enabled when it is tested alone.
    pub(super) features: BTreeSet<Featured>,
}

impl Member {
    /// True for a domain crate.
    pub(super) fn is_domain(&self) -> bool {
        self.below_crates && !NO_DOMAINS.contains(&self.name.as_str())
    }
}

/// A package and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Its registry or repository; `None` for a member.
    pub(super) source: Option<String>,
    /// Its licence.
    pub(super) licence: Option<String>,
}

impl Facts {
    /// Reads the output of cargo and the crates.
    pub(super) fn survey(workspace: &Workspace) -> Result<Self> {
        let metadata = Metadata::read(workspace)?;
        let members = metadata.members().map(|package| member(workspace, &metadata, package));
        let members = members.collect::<Result<Vec<_>>>()?;
        let known = metadata.by_label();
        let built = graph::built(workspace, None)?;
        let packages = built.iter().map(|built| origin(built, known.get(built).copied())).collect();
        Ok(Self {
            members,
            packages,
            manifest: workspace.read("Cargo.toml")?,
            features: graph::features(workspace, None)?,
        })
    }

    /// The domain crates.
    pub(super) fn domains(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_domain())
    }
}

fn origin(built: &Built, package: Option<&Package>) -> Origin {
    Origin {
        name: built.name.clone(),
        version: built.version.clone(),
        source: package.and_then(|package| package.source.clone()),
        licence: package.and_then(|package| package.license.clone()),
    }
}

fn member(workspace: &Workspace, metadata: &Metadata, package: &Package) -> Result<Member> {
    let folder = package.folder();
    let local = || package.dependencies.iter().filter(|dependency| dependency.is_local());
    let path = folder.join("Cargo.toml");
    let manifest = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let built = graph::built(workspace, Some(&package.name))?;
    Ok(Member {
        name: package.name.clone(),
        below_crates: metadata.is_below_crates(package),
        builds_on: graph::builds_on(&manifest).with_context(|| format!("in {}", path.display()))?,
        manifest,
        lib_rs: fs::read_to_string(folder.join("src/lib.rs")).ok(),
        domain_modules: MODULES
            .iter()
            .filter(|module| has_module(folder, module))
            .map(|module| (*module).to_owned())
            .collect(),
        uses: local().map(|dependency| dependency.name.clone()).collect(),
        links: local()
            .filter(|dependency| !dependency.is_dev())
            .map(|dependency| dependency.name.clone())
            .collect(),
        built: built.into_iter().map(|package| package.name).collect(),
        modules: Modules::read(folder)?,
        features: graph::features(workspace, Some(&package.name))?,
    })
}

fn has_module(folder: &Path, module: &str) -> bool {
    let source = folder.join("src");
    source.join(format!("{module}.rs")).is_file() || source.join(module).join("mod.rs").is_file()
}
