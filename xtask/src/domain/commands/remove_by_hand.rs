//! `cargo xtask remove-domain` for a domain that was written by hand: its record lists its files, comments mark its lines in other
//! files, and git shows whether uncommitted changes would be lost.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::add_field::module;
use super::removal::{Draft, databases, refuse_depended, refuse_migrated, refuse_released, released};
use super::{ROOT_MANIFEST, SERVER_MANIFEST, write_catalogue};
use crate::domain::cargo_toml;
use crate::domain::hand_written::HandWritten;
use crate::domain::lists;
use crate::domain::plan::Plan;
use crate::domain::regions;
use crate::domain::rules::UPLOADS;
use crate::domain::survey::{MIGRATIONS, Survey, files};
use crate::process::Invocation;
use crate::steps::configuration;
use crate::workspace::Workspace;

/// The page with a line for each crate in a code block, where a comment would be displayed.
const MAP: &str = "README.md";

/// The folder of the schema; its files are kept if a migration was released.
const SCHEMA: &str = "migration/";

/// Domains that can't be removed, with the reason.
const NEEDED: [(&str, &str); 2] = [
    (
        "auth",
        "without it no user could sign in, and the server does not start without a domain that authenticates users",
    ),
    ("user", "auth builds on it, and rows of other domains belong to its users"),
];

/// Fails for a domain that can't be removed, even with `--force`.
pub(super) fn refuse_needed(name: &str) -> Result<()> {
    match NEEDED.iter().find(|(needed, _)| *needed == name) {
        Some((_, why)) => bail!("`{name}` can't be removed: {why}"),
        None => Ok(()),
    }
}

/// Plans the changes.
pub(super) fn draft(
    workspace: &Workspace,
    force: bool,
    survey: &Survey,
    record: &HandWritten,
) -> Result<Draft> {
    let mut plan = Plan::new(&workspace.root);
    refuse_used(&plan, survey, record)?;
    let migrations: Vec<&str> = record.migrations.iter().map(String::as_str).collect();
    let released = released(&plan, survey, &migrations)?;
    let stays = |path: &Path| !released.is_empty() && path.starts_with(SCHEMA);
    let mut gone = own_files(workspace, record)?;
    gone.retain(|path| !stays(path));
    let mut marked = marked(workspace, &record.name)?;
    marked.retain(|path| !stays(path) && !gone.contains(path));
    if !force {
        refuse_released(&released)?;
        refuse_uncommitted(workspace, &record.name, &gone, &marked)?;
    }
    for path in &gone {
        plan.delete(path)?;
    }
    for path in &marked {
        let text = plan.expect(path)?;
        if let Some(left) = regions::without(path, &text, &record.name)? {
            plan.write(path, left)?;
        }
    }
    remove_lines(&mut plan, record, survey, &released)?;
    catalogue(&mut plan, record, survey)?;
    plan.rewrites(configuration::DOCUMENT);
    let databases = databases(&migrations, &survey.migrations, &released);
    Ok(Draft { plan, released, databases, is_by_hand: true })
}

/// The domains that were written by hand and that no other domain needs.
///
/// # Errors
///
/// The workspace can't be read.
pub(crate) fn removable(workspace: &Workspace) -> Result<Vec<HandWritten>> {
    let survey = Survey::of(&workspace.root)?;
    let plan = Plan::new(&workspace.root);
    let mut found = Vec::new();
    for record in survey.hand_written.values() {
        match refuse_used(&plan, &survey, record) {
            Ok(()) => found.push(record.clone()),
            Err(why) => crate::output::say!("`{}` can't be removed: {why}", record.name),
        }
    }
    Ok(found)
}

/// Fails if another domain needs it.
fn refuse_used(plan: &Plan, survey: &Survey, record: &HandWritten) -> Result<()> {
    refuse_files_of_others(survey, record)?;
    refuse_depended(plan, survey, &record.members().collect::<Vec<_>>())?;
    let migrations: Vec<&str> = record.migrations.iter().map(String::as_str).collect();
    record.tables.iter().try_for_each(|table| refuse_migrated(plan, survey, table, &migrations))
}

/// Fails if other domains have fields of the type `upload`, which do not name the domain that they need.
fn refuse_files_of_others(survey: &Survey, record: &HandWritten) -> Result<()> {
    if !record.crates.iter().any(|name| name == UPLOADS) {
        return Ok(());
    }
    let specs = survey.generated.values().map(|manifest| &manifest.spec);
    let users: Vec<&str> = specs.filter(|spec| spec.has_files()).map(|spec| spec.name.as_str()).collect();
    if users.is_empty() {
        return Ok(());
    }
    bail!(
        "fields of {} are uploads: remove those domains or fields first, then `{}`",
        users.join(", "),
        record.name
    )
}

/// The files in its crates and those that its record lists.
fn own_files(workspace: &Workspace, record: &HandWritten) -> Result<BTreeSet<PathBuf>> {
    let members = record.members().map(|name| format!("crates/{name}"));
    let migrations = record.migrations.iter().map(|migration| module(migration));
    let mut found = BTreeSet::new();
    for path in members.chain(record.paths.iter().cloned()).chain(migrations) {
        let full = workspace.root.join(&path);
        let below = if full.is_file() { vec![full] } else { files(&full)? };
        if below.is_empty() {
            bail!(
                "there is no {path}, which the record of `{}` lists: correct crates/{0}/domain.toml",
                record.name
            );
        }
        let relative = |path: PathBuf| path.strip_prefix(&workspace.root).map(Path::to_owned).unwrap_or(path);
        found.extend(below.into_iter().map(relative));
    }
    Ok(found)
}

/// The files with lines that are marked as the domain's.
fn marked(workspace: &Workspace, name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in workspace.files()? {
        let Some(text) = workspace.text(&path)? else { continue };
        if regions::find(&path, &text)?.iter().any(|region| region.domain == name) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Fails if deleted files, or marked lines of other files, have uncommitted changes.
fn refuse_uncommitted(
    workspace: &Workspace,
    name: &str,
    gone: &BTreeSet<PathBuf>,
    marked: &[PathBuf],
) -> Result<()> {
    let git = |words: &[&str]| Invocation::new("git").args(words).current_dir(&workspace.root).capture();
    git(&["rev-parse", "--quiet", "--verify", "HEAD"]).context(
        "git has no commit here, so the removed files could not be restored: commit first, or use --force",
    )?;
    let listed = |text: String| text.split('\0').map(PathBuf::from).collect::<BTreeSet<_>>();
    let known = listed(git(&["ls-tree", "-r", "-z", "--name-only", "HEAD"])?);
    let changed = listed(git(&["diff", "--name-only", "--relative", "-z", "HEAD"])?);
    let mut lost = Vec::new();
    for path in gone {
        if !known.contains(path) {
            lost.push(format!("- {} is not in git", path.display()));
        } else if changed.contains(path) {
            lost.push(format!("- {} was edited since the last commit", path.display()));
        }
    }
    for path in marked.iter().filter(|path| changed.contains(*path)) {
        let committed = git(&["show", &format!("HEAD:./{}", path.display())]).unwrap_or_default();
        let now = workspace.read(path)?;
        if regions::only(path, &now, name)? != regions::only(path, &committed, name)? {
            lost.push(format!(
                "- {} has marked lines that were edited since the last commit",
                path.display()
            ));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    bail!("these changes would be lost:\n{}\nCommit them, or use --force to delete them", lost.join("\n"))
}

/// Removes its lines from the files that list every domain, crate and migration.
fn remove_lines(plan: &mut Plan, record: &HandWritten, survey: &Survey, released: &[String]) -> Result<()> {
    plan.edit(&survey.domains_list, |text| lists::remove(text, "domains", &record.name))?;
    for member in record.members() {
        plan.edit(ROOT_MANIFEST, |text| cargo_toml::remove_member(text, member))?;
        if cargo_toml::depends_on(&plan.expect(SERVER_MANIFEST)?, member)? {
            plan.edit(SERVER_MANIFEST, |text| cargo_toml::remove_dependency(text, member))?;
        }
    }
    for migration in record.migrations.iter().filter(|name| !released.contains(name)) {
        plan.edit(MIGRATIONS, |text| lists::remove(text, "migrations", migration))?;
    }
    if let Some(map) = plan.read(MAP)? {
        let is_gone = |line: &str| {
            let first = line.split_whitespace().next().and_then(|word| word.strip_suffix('/'));
            line.starts_with(' ') && first.is_some_and(|first| record.members().any(|member| member == first))
        };
        let left = map.lines().filter(|line| !is_gone(line)).flat_map(|line| [line, "\n"]);
        plan.write(MAP, left.collect::<String>())?;
    }
    Ok(())
}

fn catalogue(plan: &mut Plan, record: &HandWritten, survey: &Survey) -> Result<()> {
    let is_left = |name: &&String| !record.members().any(|member| member == *name);
    let crates = survey.crates.iter().filter(is_left).cloned().collect();
    write_catalogue(plan, &Survey { crates, ..Survey::default() }, &survey.specs())
}
