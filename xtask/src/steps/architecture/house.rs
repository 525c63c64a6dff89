//! What the rules look at, collected once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::imports::Modules;
use crate::graph::{self, Built, Featured, Metadata, Package};
use crate::workspace::{NO_DOMAINS, Workspace};

/// The rooms that every domain crate has.
pub(super) const ROOMS: [&str; 6] = ["model", "dto", "repository", "service", "error", "event"];

/// The workspace, as the rules see it.
pub(super) struct House {
    /// Its members.
    pub(super) members: Vec<Member>,
    /// Everything that a build for this machine contains.
    pub(super) packages: Vec<Origin>,
    /// The root manifest.
    pub(super) manifest: String,
    /// What the tests of all members need, with the features that they have when all are tested together.
    pub(super) features: BTreeSet<Featured>,
}

/// A member of the workspace.
#[derive(Debug, Default, Clone)]
pub(super) struct Member {
    /// Its package name.
    pub(super) name: String,
    /// True when it stands in `crates/`.
    pub(super) below_crates: bool,
    /// Its manifest.
    pub(super) manifest: String,
    /// Its `lib.rs`, if it has one.
    pub(super) lib_rs: Option<String>,
    /// Which of the six rooms it has.
    pub(super) rooms: BTreeSet<String>,
    /// The other members that it uses, in tests too.
    pub(super) uses: BTreeSet<String>,
    /// The other members that it uses outside tests.
    pub(super) links: BTreeSet<String>,
    /// The domains that it says it builds on.
    pub(super) builds_on: BTreeSet<String>,
    /// The packages that it links, directly or not.
    pub(super) built: BTreeSet<String>,
    /// Its modules and what they import from each other.
    pub(super) modules: Modules,
    /// What its tests need, with the features that they have when it is tested alone.
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
    /// Its registry or repository; none for a member.
    pub(super) source: Option<String>,
    /// Its licence.
    pub(super) licence: Option<String>,
}

impl House {
    /// Asks cargo and reads the crates.
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
        rooms: ROOMS.iter().filter(|room| has_room(folder, room)).map(|room| (*room).to_owned()).collect(),
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

fn has_room(folder: &Path, room: &str) -> bool {
    let source = folder.join("src");
    source.join(format!("{room}.rs")).is_file() || source.join(room).join("mod.rs").is_file()
}
