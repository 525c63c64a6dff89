//! The pages that make domains by hand, each followed from top to bottom in a copy.

mod insertion;
mod page;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use self::page::{Action, Page};
use super::copy::Copy;
use crate::output::say;
use crate::workspace::Workspace;

/// Followed one after the other.
const PAGES: [&str; 2] = ["docs/adding-a-domain.md", "docs/rules-across-domains.md"];

/// What a page makes has to be clean in, besides its own tests.
const STEPS: &str = "ci --fail-fast --only fmt,links,architecture";

/// Makes the domains of the pages in the copy, and holds what was touched against each page's list. The names of the domains.
pub(super) fn follow(workspace: &Workspace, copy: &Copy) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for path in PAGES {
        let page =
            Page::parse(&workspace.read(path)?).with_context(|| format!("{path} can't be followed"))?;
        let names = page.names().with_context(|| path.to_owned())?;
        // Where the workspace has one of that name, its owner followed the page.
        if let Some(name) = names.iter().find(|name| workspace.root.join("crates").join(name).exists()) {
            say!("there is a crate {name} already, so {path} is not followed");
            continue;
        }
        for step in &page.steps {
            carry_out(copy, &step.action).with_context(|| format!("{path}:{}", step.line))?;
        }
        copy.xtask(STEPS)?;
        lint(copy, &names)?;
        expect_touched(copy, &page, &names).with_context(|| path.to_owned())?;
        copy.commit("followed")?;
        made.extend(names.into_iter().map(str::to_owned));
    }
    Ok(made)
}

fn carry_out(copy: &Copy, action: &Action) -> Result<()> {
    match action {
        Action::Write { path, text } => copy.create(path, text),
        Action::Replace { path, text } => copy.edit(path, |_| text.clone()),
        Action::Insert { path, insertion } => {
            let edited = insertion.apply(&fs::read_to_string(copy.root.join(path))?);
            let edited = edited.with_context(|| format!("{path} is not as the page says"))?;
            copy.edit(path, |_| edited)
        }
        Action::Run(commands) => copy.shell(commands),
    }
}

/// The crates, their routers and their tests over HTTP give no warning.
fn lint(copy: &Copy, names: &[&str]) -> Result<()> {
    let packages = names.iter().chain(&["server", "tests"]).map(|name| format!("--package {name}"));
    let packages = packages.collect::<Vec<_>>().join(" ");
    copy.cargo(&format!("clippy --locked {packages} --all-targets -- -D warnings")).run()
}

/// Fails when git sees other changes than the page lists.
fn expect_touched(copy: &Copy, page: &Page, names: &[&str]) -> Result<()> {
    let status = copy.git("status --porcelain --untracked-files=all")?;
    let complaints = complaints(&touched(&status, names), &page.touched);
    if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("; ")) }
}

/// The changed files outside the crates, as git tells them.
fn touched(status: &str, names: &[&str]) -> BTreeSet<String> {
    let own: Vec<String> = names.iter().map(|name| format!("crates/{name}/")).collect();
    let paths = status.lines().filter_map(|line| line.get(3..));
    paths.filter(|path| !own.iter().any(|own| path.starts_with(own))).map(str::to_owned).collect()
}

/// The path of a migration without the time of day, which is another each time.
fn timeless(path: &str) -> String {
    match path.strip_prefix("migration/src/m").and_then(|rest| rest.split_once("_create_")) {
        Some((_, what)) => format!("migration/src/m…_create_{what}"),
        None => path.to_owned(),
    }
}

fn complaints(touched: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let timeless =
        |paths: &BTreeSet<String>| paths.iter().map(|path| timeless(path)).collect::<BTreeSet<_>>();
    let (touched, listed) = (timeless(touched), timeless(listed));
    let unlisted = touched.difference(&listed);
    let unlisted = unlisted.map(|path| format!("{path} was touched, and the page's list does not say so"));
    let idle = listed.difference(&touched);
    let idle = idle.map(|path| format!("{path} is in the page's list, and was not touched"));
    unlisted.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn the_pages_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for page in PAGES {
            let page = Page::parse(&fs::read_to_string(root.join(page)).unwrap()).unwrap();
            assert!(page.names().is_ok());
            let listed = |path: &String| page.touched.contains(path) || path.starts_with("crates/");
            for step in &page.steps {
                if let Action::Write { path, .. } | Action::Insert { path, .. } = &step.action {
                    assert!(listed(path), "{path}");
                }
            }
        }
    }

    #[test]
    fn migrations_are_known_without_their_time() {
        let (touched, listed) =
            ("migration/src/m20261128_233742_create_orders.rs", "migration/src/m…_create_orders.rs");
        assert!(complaints(&set(&[touched]), &set(&[listed])).is_empty());
        assert_eq!(timeless("migration/src/lib.rs"), "migration/src/lib.rs");
    }

    #[test]
    fn changes_outside_the_crate_are_told_from_those_in_it() {
        let status = " M Cargo.lock\n?? crates/note/src/lib.rs\n?? crates/notes.md\n";
        assert_eq!(touched(status, &["note", "b"]), set(&["Cargo.lock", "crates/notes.md"]));
    }

    #[test]
    fn a_file_too_many_and_a_file_too_few_are_told() {
        let told = complaints(&set(&["a", "b"]), &set(&["b", "c"]));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("a was touched") && told[1].starts_with("c is in the page's list"),
            "{told:?}"
        );
        assert!(complaints(&set(&["a"]), &set(&["a"])).is_empty());
    }
}
