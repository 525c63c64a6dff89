//! A product under another name, in a copy of the workspace: it compiles, and the old name is left only where it has to be. The same
//! copy is without the domains that can go, so that one more check is all that both cost.

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

/// What the copy is called, whatever the workspace is called. Two words, so that every form of it differs from the others.
const NAMES: [&str; 2] = ["spare-name", "other-name"];

/// What each house passes and what depends on names; of the other steps it makes no difference.
const STEPS: &str = "fmt,links,architecture,test,clippy,docs,openapi";

/// Checks a renamed copy in the target folder of the workspace, so that no dependency is built again. The copy stays where it
/// is, and what did not change in it keeps its time: next time cargo checks only what did.
pub(super) fn check(workspace: &Workspace) -> Result<Outcome> {
    let old = product(workspace)?;
    let fresh = Workspace { root: workspace.scratch("renamed-fresh")?, target: workspace.target.clone() };
    for file in workspace.files()? {
        copy_file(&workspace.root.join(&file), &fresh.root.join(&file))?;
    }
    Invocation::new("git").args(["init", "--quiet"]).current_dir(&fresh.root).run()?;
    // All of the copy is new to its git.
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
        // Cargo knows a member by its place in its workspace: without a wrapper it would take the copy's crates for ours.
        .env("RUSTC_WORKSPACE_WRAPPER", "env")
        .run()?;
    Ok(Outcome::Passed)
}

/// Runs the tests of a renamed copy, of one without the domains that can go, and of one that is both, and what else a house has to
/// pass whatever it is called and has.
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
    Product::find(&workspace.root)?.context("Cargo.toml doesn't say what the product is called")
}

fn another(product: &Product) -> &'static str {
    if product.name == NAMES[0] { NAMES[1] } else { NAMES[0] }
}

/// Fails when the old name is left, in whatever spelling, in a text or in the name of a file.
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
            "{} file(s) still have the old name: what must not change once there is data is to be in {}, the rest is to be renamed: {first}",
            left.len(),
            product::FROZEN
        ),
        None => Ok(()),
    }
}

/// Whether a line has the name: as a word, or anywhere in one where it is long enough to be no other word's part by chance.
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

/// Makes `kept` what the copy is, and leaves alone what is the same.
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
