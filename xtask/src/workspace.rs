//! The folders and files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::Invocation;
use crate::product::Product;

/// The crates in `crates/` that are not domains: those that domains depend on, and those that compose them.
///
/// Every other crate there is a domain, to which the rules on domains apply.
pub(crate) const NO_DOMAINS: &[&str] = &[
    "app-config",
    "app-kit",
    "configuration",
    "http-kit",
    "kernel-derive",
    "messaging",
    "object-store", // domain: upload
    "server",
    "shared-kernel",
    "transport",
    "upload-port",
    "workspace-features",
];

/// The workspace in which the tool was called.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Cargo's target folder; everything that the steps write goes below it.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Reads it from cargo.
    pub(crate) fn find() -> Result<Self> {
        let json = Invocation::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .capture()
            .context("cargo finds no workspace here")?;
        serde_json::from_str(&json).context("the output of cargo metadata could not be parsed")
    }

    /// The path of the product's binary in the folder of a profile: `debug`, `release`. Its name is in `Cargo.toml`, because the steps
    /// also run in copies with another name.
    pub(crate) fn binary(&self, profile: &str) -> Result<PathBuf> {
        let product = Product::find(&self.root)?.context("Cargo.toml has no [workspace.metadata.product]")?;
        Ok(self.target.join(profile).join(product.name))
    }

    /// A folder below the target folder, which is retained between runs.
    pub(crate) fn kept(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join("xtask").join(name);
        fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(path)
    }

    /// A folder below the target folder, emptied first.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join("xtask").join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("can't empty {}", path.display()))?;
        }
        self.kept(name)
    }

    /// A file of the repository as text, with the line endings of the repository.
    pub(crate) fn read(&self, relative: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(relative);
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(text.replace("\r\n", "\n"))
    }

    /// The unchanged text of a file; `None` if it is not text.
    pub(crate) fn text(&self, relative: impl AsRef<Path>) -> Result<Option<String>> {
        let path = self.root.join(relative);
        let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
    }

    /// The files that git tracks or would add, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let listed = Invocation::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(&self.root)
            .capture()?;
        let present = |path: &PathBuf| self.root.join(path).is_file();
        Ok(listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).filter(present).collect())
    }
}

/// True in CI, where a missing tool is a failure and not a reason to skip a step.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As git for Windows is set up.
    #[test]
    fn a_checkout_has_the_line_ends_of_the_repository_whatever_git_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (origin, clone) = (folder.path().join("origin"), folder.path().join("clone"));
        fs::create_dir(&origin).unwrap();
        fs::write(origin.join(".gitattributes"), include_str!("../../.gitattributes")).unwrap();
        fs::write(origin.join("a.rs"), "one\ntwo\n").unwrap();
        let git = |words: &str, in_folder: &Path| {
            let someone = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "core.autocrlf=true"];
            Invocation::new("git")
                .args(someone)
                .args(words.split(' '))
                .current_dir(in_folder)
                .capture()
                .unwrap()
        };
        git("init --quiet", &origin);
        git("add --all", &origin);
        git("-c commit.gpgsign=false commit --quiet --message x", &origin);
        git("clone --quiet origin clone", folder.path());
        assert_eq!(fs::read_to_string(clone.join("a.rs")).unwrap(), "one\ntwo\n");
    }
}
