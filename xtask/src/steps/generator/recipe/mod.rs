//! Follows the pages that write domains by hand from top to bottom, in a copy.
//!
//! Files and generator commands of a page are executed in order. Its other commands run after all pages, so that the server and its
//! tests are built once for all of them.

mod insertion;
mod page;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use self::page::{Action, Page};
use super::copy::Copy;
use crate::output::say;
use crate::workspace::Workspace;

/// The pages, in order.
const PAGES: [&str; 2] = ["docs/adding-a-domain.md", "docs/rules-across-domains.md"];

/// The steps that the result must pass, besides its own tests.
const STEPS: &str = "ci --fail-fast --only fmt,links,architecture";

/// Commands that write sources, which later blocks of the page use.
const GENERATES: &str = "cargo xtask new-";

/// The result of following the pages.
#[derive(Default)]
struct Followed {
    /// The domains that were written.
    names: Vec<String>,
    /// The commands that remain to be run, with their pages and lines.
    commands: Vec<(String, String)>,
    /// The files that the pages list, and those that were changed so far.
    listed: BTreeSet<String>,
    touched: BTreeSet<String>,
}

/// Writes the domains of the pages in the copy, compares the changed files with the list of each page, and returns the names of the
/// domains.
pub(super) fn follow(workspace: &Workspace, copy: &Copy) -> Result<Vec<String>> {
    let mut followed = Followed::default();
    for path in PAGES {
        write(workspace, copy, path, &mut followed)?;
    }
    for (place, commands) in &followed.commands {
        copy.shell(commands).with_context(|| place.clone())?;
    }
    let rewritten = changed(copy, &followed.names)?;
    expect_none(&unlisted(&rewritten, &followed.listed)).context("the commands of the pages")?;
    followed.touched.extend(rewritten);
    expect_none(&idle(&followed.touched, &followed.listed)).context("the lists of the pages")?;
    copy.xtask(STEPS)?;
    lint(copy, &followed.names)?;
    Ok(followed.names)
}

/// Executes the files and generator commands of a page, and stores its other commands for later.
fn write(workspace: &Workspace, copy: &Copy, path: &str, followed: &mut Followed) -> Result<()> {
    let page = Page::parse(&workspace.read(path)?).with_context(|| format!("{path} can't be followed"))?;
    let names: Vec<String> =
        page.names().with_context(|| path.to_owned())?.into_iter().map(str::to_owned).collect();
    // If the workspace has a crate of that name, its owner has probably followed the page.
    if let Some(name) = names.iter().find(|name| workspace.root.join("crates").join(name).exists()) {
        say!("the crate {name} already exists, so {path} is not followed");
        return Ok(());
    }
    for step in page.steps {
        let place = format!("{path}:{}", step.line);
        match step.action {
            Action::Run(commands) if !commands.starts_with(GENERATES) => {
                followed.commands.push((place, commands));
            }
            action => carry_out(copy, &action).context(place)?,
        }
    }
    let touched = changed(copy, &names)?;
    expect_none(&unlisted(&touched, &page.touched)).with_context(|| path.to_owned())?;
    copy.commit("followed")?;
    followed.names.extend(names);
    followed.listed.extend(page.touched);
    followed.touched.extend(touched);
    Ok(())
}

fn carry_out(copy: &Copy, action: &Action) -> Result<()> {
    match action {
        Action::Write { path, text } => copy.create(path, text),
        Action::Replace { path, text } => copy.edit(path, |_| text.clone()),
        Action::Insert { path, insertion } => {
            let edited = insertion.apply(&fs::read_to_string(copy.root.join(path))?);
            let edited = edited.with_context(|| format!("{path} differs from the page"))?;
            copy.edit(path, |_| edited)
        }
        Action::Run(commands) => copy.shell(commands),
    }
}

/// Clippy reports no warning in the crates, their routers and their tests over HTTP.
fn lint(copy: &Copy, names: &[String]) -> Result<()> {
    let crates = names.iter().map(String::as_str);
    let packages: Vec<_> =
        crates.chain(["server", "tests"]).map(|name| format!("--package {name}")).collect();
    copy.cargo(&format!("clippy --locked {} --all-targets -- -D warnings", packages.join(" "))).run()
}

/// The files that have changed since the last commit, outside the crates of these names.
fn changed(copy: &Copy, names: &[String]) -> Result<BTreeSet<String>> {
    Ok(touched(&copy.git("status --porcelain --untracked-files=all")?, names))
}

fn expect_none(complaints: &[String]) -> Result<()> {
    if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("; ")) }
}

/// The changed files outside the crates, according to git.
fn touched(status: &str, names: &[String]) -> BTreeSet<String> {
    let own: Vec<String> = names.iter().map(|name| format!("crates/{name}/")).collect();
    let paths = status.lines().filter_map(|line| line.get(3..));
    paths.filter(|path| !own.iter().any(|own| path.starts_with(own))).map(str::to_owned).collect()
}

/// The paths; those of migrations without the time of day, which differs in each run.
fn timeless(paths: &BTreeSet<String>) -> BTreeSet<String> {
    let timeless = |path: &String| match path
        .strip_prefix("migration/src/m")
        .and_then(|rest| rest.split_once("_create_"))
    {
        Some((_, what)) => format!("migration/src/m…_create_{what}"),
        None => path.clone(),
    };
    paths.iter().map(timeless).collect()
}

/// One message for each changed file that is not in a list.
fn unlisted(touched: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let (touched, listed) = (timeless(touched), timeless(listed));
    let paths = touched.difference(&listed);
    paths.map(|path| format!("{path} was changed, but is not in the list of the page")).collect()
}

/// One message for each listed file that was not changed.
fn idle(touched: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<String> {
    let (touched, listed) = (timeless(touched), timeless(listed));
    let paths = listed.difference(&touched);
    paths.map(|path| format!("{path} is in the list of a page, but was not changed")).collect()
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
        let touched = set(&["migration/src/m20261128_233742_create_orders.rs", "migration/src/lib.rs"]);
        let listed = set(&["migration/src/m…_create_orders.rs", "migration/src/lib.rs"]);
        assert!(unlisted(&touched, &listed).is_empty());
        assert!(idle(&touched, &listed).is_empty());
    }

    #[test]
    fn changes_outside_the_crate_are_told_from_those_in_it() {
        let status = " M Cargo.lock\n?? crates/note/src/lib.rs\n?? crates/notes.md\n";
        let names = ["note", "b"].map(str::to_owned);
        assert_eq!(touched(status, &names), set(&["Cargo.lock", "crates/notes.md"]));
    }

    #[test]
    fn a_file_too_many_and_a_file_too_few_are_told() {
        let (touched, listed) = (set(&["a", "b"]), set(&["b", "c"]));
        let (many, few) = (unlisted(&touched, &listed), idle(&touched, &listed));
        assert!(many.len() == 1 && many[0].starts_with("a was changed"), "{many:?}");
        assert!(few.len() == 1 && few[0].starts_with("c is in the list of a page"), "{few:?}");
    }
}
