//! Checks a renamed copy of the workspace: it compiles, and the old name remains only where it must. The removable domains are
//! removed from the same copy, so that one `cargo check` covers both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Outcome;
use super::generator::copy::{Build, Copy, program};
use super::removed;
use crate::domain::commands::remove_by_hand;
use crate::domain::hand_written::HandWritten;
use crate::domain::survey;
use crate::output::say;
use crate::process::Invocation;
use crate::product::{self, Product};
use crate::workspace::Workspace;

/// Name of the copy. It has two words, so that all its forms differ.
const NAMES: [&str; 2] = ["spare-name", "other-name"];

/// The steps that depend on names or domains; the results of the others are the same in a copy.
const STEPS: &str = "fmt,links,architecture,test,clippy,docs,openapi";

/// Checks a renamed copy in the target folder of the workspace, so that no dependency is built again. The copy is retained, and
/// unchanged files keep their modification time, so that cargo checks only changed crates in the next run.
pub(super) fn check(workspace: &Workspace) -> Result<Outcome> {
    let old = product(workspace)?;
    let fresh = Workspace { root: workspace.scratch("renamed-fresh")?, target: workspace.target.clone() };
    for file in workspace.files()? {
        copy_file(&workspace.root.join(&file), &fresh.root.join(&file))?;
    }
    Invocation::new("git").args(["init", "--quiet"]).current_dir(&fresh.root).run()?;
    // No file of the copy is committed.
    let program = program(workspace, &workspace.kept("renamed-program")?)?;
    let tool = || Invocation::new(&program).current_dir(&fresh.root);
    tool().args(["rename", another(&old), "--force"]).run()?;
    expect_gone(&fresh, &old)?;
    for record in remove_by_hand::removable(workspace)? {
        tool().args(["remove-domain", &record.name, "--force", "--no-openapi"]).run()?;
        removed::expect_gone(&fresh, &record, false)?;
    }
    let kept = workspace.kept("renamed")?;
    mirror(&fresh, &kept)?;
    Invocation::new("cargo")
        .args(["check", "--workspace", "--all-targets", "--locked"])
        .current_dir(&kept)
        .env("CARGO_TARGET_DIR", &workspace.target)
        .env("CARGO_INCREMENTAL", "0")
        // Cargo identifies a member by its path in its workspace: without a wrapper it would confuse the crates of the copy with ours.
        .env("RUSTC_WORKSPACE_WRAPPER", "env")
        .run()?;
    Ok(Outcome::Passed)
}

/// Runs the tests and the other steps that depend on names or domains in a renamed copy, in one without the removable domains, and
/// in one with both changes.
pub(super) fn full(workspace: &Workspace) -> Result<Outcome> {
    let name = another(&product(workspace)?);
    let records = remove_by_hand::removable(workspace)?;
    passes(workspace, Some(name), &[])?;
    if !records.is_empty() {
        passes(workspace, None, &records)?;
        passes(workspace, Some(name), &records)?;
    }
    Ok(Outcome::Passed)
}

fn passes(workspace: &Workspace, name: Option<&str>, gone: &[HandWritten]) -> Result<()> {
    let copy = Copy::make(workspace, "renamed-tests", Build::Own, &[])?;
    if let Some(name) = name {
        copy.xtask(&format!("rename {name}"))?;
        copy.commit("renamed")?;
    }
    for record in gone {
        copy.xtask(&format!("remove-domain {}", record.name))?;
        let left = Workspace { root: copy.root.clone(), target: workspace.target.clone() };
        removed::expect_gone(&left, record, true)?;
        copy.commit("removed")?;
    }
    copy.xtask(&format!("ci --fail-fast --only {STEPS}"))?;
    copy.thrown_away()
}

fn product(workspace: &Workspace) -> Result<Product> {
    Product::find(&workspace.root)?.context("Cargo.toml does not state the name of the product")
}

fn another(product: &Product) -> &'static str {
    if product.name == NAMES[0] { NAMES[1] } else { NAMES[0] }
}

/// Fails if the old name remains, in any spelling, in a text or in the name of a file.
fn expect_gone(copy: &Workspace, old: &Product) -> Result<()> {
    let mut left = Vec::new();
    for path in copy.files()?.into_iter().filter(|path| !product::stays(path)) {
        let text = copy.text(&path)?.unwrap_or_default();
        let lines = std::iter::once(path.to_string_lossy()).chain(text.lines().map(Into::into));
        let found = lines.enumerate().find(|(_, line)| names(line, old));
        left.extend(found.map(|(number, line)| format!("{}:{number}: {}", path.display(), line.trim())));
    }
    for place in &left {
        say!("- {place}");
    }
    match left.first() {
        Some(first) => bail!(
            "{} file(s) still contain the old name: move values that must not change once there is data to {}, and make the rest renameable: {first}",
            left.len(),
            product::FROZEN
        ),
        None => Ok(()),
    }
}

/// Whether a line contains the name: as a word, or within a word if the name is too long to be part of another word by chance.
fn names(line: &str, product: &Product) -> bool {
    let (line, name) = (line.to_lowercase(), product.name.as_str());
    let spellings = [name.to_owned(), product.snake(), name.replace('-', ""), name.replace('-', " ")];
    let is_letter = |c: char| c.is_alphabetic();
    spellings.iter().any(|spelling| {
        line.match_indices(spelling.as_str()).any(|(start, found)| {
            let (before, after) = (&line[..start], &line[start + found.len()..]);
            spelling.len() > 5 || !(before.ends_with(is_letter) || after.starts_with(is_letter))
        })
    })
}

/// Makes `kept` equal to the copy, without touching files that are equal already.
fn mirror(copy: &Workspace, kept: &Path) -> Result<()> {
    let files: BTreeSet<PathBuf> = copy.files()?.into_iter().collect();
    for file in survey::files(kept)? {
        if file.strip_prefix(kept).is_ok_and(|relative| !files.contains(relative)) {
            fs::remove_file(&file).with_context(|| format!("can't remove {}", file.display()))?;
        }
    }
    for file in &files {
        let (from, to) = (copy.root.join(file), kept.join(file));
        if fs::read(&from).ok() != fs::read(&to).ok() {
            copy_file(&from, &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("can't copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to.parent().unwrap_or(to)).with_context(failed)?;
    fs::copy(from, to).map(drop).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str) -> Product {
        Product { name: name.to_owned(), title: "Any".to_owned() }
    }

    #[test]
    fn a_name_is_seen_in_every_spelling() {
        let long = called("tin-kettle");
        for line in ["tin-kettle", "TIN_KETTLE_X", "myTinKettle", "the Tin Kettle", "\\nTIN_KETTLE"] {
            assert!(names(line, &long), "{line}");
        }
        let short = called("mica");
        for line in ["mica", "MICA_X", "mica-2", "a Mica."] {
            assert!(names(line, &short), "{line}");
        }
        assert!(!names("formicarium, chemical", &short));
    }

    #[test]
    fn what_is_the_same_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let copy = Workspace { root: folder.path().join("copy"), target: folder.path().join("target") };
        let kept = folder.path().join("kept");
        for (path, text) in
            [("copy/a/same", "1"), ("copy/other", "2"), ("kept/a/same", "1"), ("kept/gone", "3")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Invocation::new("git").args(["init", "--quiet"]).current_dir(&copy.root).capture().unwrap();
        let time = || fs::metadata(kept.join("a/same")).unwrap().modified().unwrap();
        let before = time();
        mirror(&copy, &kept).unwrap();
        assert_eq!(time(), before);
        assert_eq!(fs::read_to_string(kept.join("other")).unwrap(), "2");
        assert!(!kept.join("gone").exists());
    }
}
