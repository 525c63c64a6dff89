//! The page that makes a domain by hand, followed from top to bottom in a copy.

mod insertion;
mod page;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use self::page::{Action, Page};
use super::copy::Copy;
use crate::output::say;
use crate::workspace::Workspace;

const PAGE: &str = "docs/adding-a-domain.md";

/// What the page makes has to be clean in, besides its own tests.
const STEPS: &str = "ci --fail-fast --only fmt,links,architecture";

/// Makes the domain of the page in the copy, and holds what was touched against the page's list. The name of the domain; none where the
/// workspace has one of that name, because its owner followed the page.
pub(super) fn follow(workspace: &Workspace, copy: &Copy) -> Result<Option<String>> {
    let page = workspace.read(PAGE)?;
    let page = Page::parse(&page).with_context(|| format!("{PAGE} can't be followed"))?;
    let name = page.name().with_context(|| PAGE.to_owned())?;
    if workspace.root.join("crates").join(name).exists() {
        say!("there is a crate {name} already, so {PAGE} is not followed");
        return Ok(None);
    }
    for step in &page.steps {
        carry_out(copy, &step.action).with_context(|| format!("{PAGE}:{}", step.line))?;
    }
    copy.xtask(STEPS)?;
    lint(copy, name)?;
    expect_touched(copy, &page, name)?;
    Ok(Some(name.to_owned()))
}

fn carry_out(copy: &Copy, action: &Action) -> Result<()> {
    match action {
        Action::Write { path, text } => copy.create(path, text),
        Action::Insert { path, insertion } => {
            let edited = insertion.apply(&fs::read_to_string(copy.root.join(path))?);
            let edited = edited.with_context(|| format!("{path} is not as the page says"))?;
            copy.edit(path, |_| edited)
        }
        Action::Run(commands) => copy.shell(commands),
    }
}

/// The crate, its router and its tests over HTTP give no warning.
fn lint(copy: &Copy, name: &str) -> Result<()> {
    let packages = format!("--package {name} --package server --package tests");
    copy.cargo(&format!("clippy --locked {packages} --all-targets -- -D warnings")).run()
}

/// Fails when git sees other changes than the page lists.
fn expect_touched(copy: &Copy, page: &Page, name: &str) -> Result<()> {
    let status = copy.git("status --porcelain --untracked-files=all")?;
    let complaints = complaints(&touched(&status, name), &page.touched);
    if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("; ")) }
}

/// The changed files outside the crate, as git tells them.
fn touched(status: &str, name: &str) -> BTreeSet<String> {
    let own = format!("crates/{name}/");
    let paths = status.lines().filter_map(|line| line.get(3..));
    paths.filter(|path| !path.starts_with(&own)).map(str::to_owned).collect()
}

fn complaints(touched: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let unlisted = touched.difference(listed);
    let unlisted = unlisted.map(|path| format!("{path} was touched, and the list of {PAGE} does not say so"));
    let idle = listed.difference(touched);
    let idle = idle.map(|path| format!("{path} is in the list of {PAGE}, and was not touched"));
    unlisted.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn the_page_can_be_read() {
        let page = Page::parse(include_str!("../../../../../docs/adding-a-domain.md")).unwrap();
        assert!(page.name().is_ok());
        let listed = |path: &String| page.touched.contains(path) || path.starts_with("crates/");
        for step in &page.steps {
            if let Action::Write { path, .. } | Action::Insert { path, .. } = &step.action {
                assert!(listed(path), "{path}");
            }
        }
    }

    #[test]
    fn changes_outside_the_crate_are_told_from_those_in_it() {
        let status = " M Cargo.lock\n?? crates/note/src/lib.rs\n?? crates/notes.md\n";
        assert_eq!(touched(status, "note"), set(&["Cargo.lock", "crates/notes.md"]));
    }

    #[test]
    fn a_file_too_many_and_a_file_too_few_are_told() {
        let told = complaints(&set(&["a", "b"]), &set(&["b", "c"]));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("a was touched") && told[1].starts_with("c is in the list"), "{told:?}");
        assert!(complaints(&set(&["a"]), &set(&["a"])).is_empty());
    }
}
