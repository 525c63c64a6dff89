//! `cargo xtask remove-domain`: the inverse of `new-domain`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::add_field::{module, refers};
use super::removal::{Draft, databases, refuse_depended, refuse_migrated, refuse_released, released};
use super::remove_by_hand::{self, refuse_needed};
use super::{How, ROOT_MANIFEST, SERVER_MANIFEST, carry_out, write_catalogue};
use crate::domain::cargo_toml;
use crate::domain::composition::Composition;
use crate::domain::lists;
use crate::domain::manifest::{self, Manifest, hash};
use crate::domain::plan::Plan;
use crate::domain::survey::{MIGRATIONS, Survey, files};
use crate::rustfmt;
use crate::steps::configuration;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask remove-domain note --dry-run
  cargo xtask remove-domain note

Afterwards the tree is as it was before `new-domain`: files, lists, manifests, Cargo.lock and docs/openapi.json. Edited
files, and files that were added to the folder of the crate, are deleted only with --force. A domain that others refer to
can't be removed. A domain that was written by hand can be removed if its domain.toml has `made = \"by hand\"` and lists its
files; marked lines in other files, as in `// domain: shop`, are removed too. Files of it that are not committed are
deleted only with --force.
A database in which the migration ran keeps the table: revert the migration first, or start with an empty database.
Released migrations are not removed even with --force, because databases have applied them.";

/// The domain to remove.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The domain, as `cargo xtask domains` lists it.
    domain: String,
    /// Remove it even if files were edited or added, which are then lost unless committed, or if its migration was released.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    how: How,
}

/// Removes the domain.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let draft = draft(workspace, options)?;
    if carry_out(workspace, &draft.plan, options.how)? {
        if draft.is_by_hand {
            clean_up(workspace, &draft.plan, options.how)?;
        }
        crate::output::say!(
            "\n`{}` was removed. Next:\n  cargo xtask ci\n  git add --all && git commit{}",
            options.domain,
            draft.databases
        );
    }
    if !draft.released.is_empty() {
        crate::output::say!(
            "\nThese migrations were released and are kept: {}. Drop the table in a new one: `cargo xtask new-migration`.",
            draft.released.join(", ")
        );
    }
    Ok(true)
}

/// Formats the edited sources and generates the reference of the settings again.
fn clean_up(workspace: &Workspace, plan: &Plan, how: How) -> Result<()> {
    let sources: Vec<_> = plan.edited().filter(|path| rustfmt::is_source(path)).map(Path::to_owned).collect();
    rustfmt::run(workspace, &sources, &[])?;
    if how.no_openapi { Ok(()) } else { configuration::write(workspace) }
}

/// Plans the changes.
pub(super) fn draft(workspace: &Workspace, options: &Options) -> Result<Draft> {
    let survey = Survey::of(&workspace.root)?;
    let name = &options.domain;
    if let Some(composition) = survey.compositions.get(name) {
        return without_table(workspace, options, &survey, composition);
    }
    refuse_needed(name)?;
    if let Some(record) = survey.hand_written.get(name) {
        return remove_by_hand::draft(workspace, options.force, &survey, record);
    }
    let Some(manifest) = survey.generated.get(name) else {
        bail!(
            "`{name}` is not a generated domain and has no record, so the files that belong to it are unknown: `cargo xtask domains` lists the domains that can be removed"
        );
    };
    let mut plan = Plan::new(&workspace.root);
    let migrations: Vec<&str> = manifest.migrations.iter().map(|migration| migration.name.as_str()).collect();
    refuse_used(&plan, &survey, name)?;
    refuse_migrated(&plan, &survey, &manifest.spec.plural, &[])?;
    let extra = extra_files(workspace, name, &manifest.files)?;
    let released = released(&plan, &survey, &migrations)?;
    if !options.force {
        refuse_released(&released)?;
        refuse_edited(&plan, &manifest.files, &extra)?;
    }
    let stays = |path: &String| released.iter().any(|migration| module(migration) == *path);
    for path in manifest.files.keys().chain(&extra).filter(|path| !stays(path)) {
        plan.delete(path)?;
    }
    plan.delete(manifest::path(name))?;
    remove_lines(&mut plan, manifest, &survey, &released)?;
    let mut generated = survey.specs();
    generated.remove(name);
    write_catalogue(&mut plan, &survey, &generated)?;
    let databases = databases(&migrations, &survey.migrations, &released);
    Ok(Draft { plan, released, databases, is_by_hand: false })
}

/// Plans the removal of a domain without a table.
fn without_table(
    workspace: &Workspace,
    options: &Options,
    survey: &Survey,
    composition: &Composition,
) -> Result<Draft> {
    let name = &composition.name;
    let mut plan = Plan::new(&workspace.root);
    refuse_used(&plan, survey, name)?;
    let extra = extra_files(workspace, name, &composition.files)?;
    if !options.force {
        refuse_edited(&plan, &composition.files, &extra)?;
    }
    for path in composition.files.keys().chain(&extra) {
        plan.delete(path)?;
    }
    plan.delete(manifest::path(name))?;
    unlist(&mut plan, name, survey)?;
    let others: Survey = Survey {
        crates: survey.crates.iter().filter(|other| *other != name).cloned().collect(),
        ..Survey::default()
    };
    write_catalogue(&mut plan, &others, &survey.specs())?;
    Ok(Draft { plan, released: Vec::new(), databases: String::new(), is_by_hand: false })
}

/// Fails if another domain refers to it or depends on it.
fn refuse_used(plan: &Plan, survey: &Survey, name: &str) -> Result<()> {
    let others = survey.generated.values().map(|other| &other.spec);
    let users: Vec<&str> = others
        .filter(|other| other.name != *name && refers(other, name))
        .map(|other| other.name.as_str())
        .collect();
    if !users.is_empty() {
        bail!("{} refer(s) to `{name}`: remove the referring domains or fields first", users.join(", "));
    }
    refuse_depended(plan, survey, &[&name.to_owned()])
}

/// The files in its folder that were not generated.
fn extra_files(
    workspace: &Workspace,
    name: &str,
    generated: &BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let found = files(&workspace.root.join("crates").join(name))?;
    let relative = |path: PathBuf| path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
    let known = |path: &String| generated.contains_key(path) || *path == manifest::path(name);
    Ok(found.into_iter().map(relative).filter(|path| !known(path)).collect())
}

fn refuse_edited(plan: &Plan, generated: &BTreeMap<String, String>, extra: &[String]) -> Result<()> {
    let edited = edited(plan, generated)?;
    if edited.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let edited = edited.iter().map(|path| format!("- {path} was edited"));
    let extra = extra.iter().map(|path| format!("- {path} was not generated"));
    let lines: Vec<String> = edited.chain(extra).collect();
    bail!(
        "these changes would be lost:\n{}\nUse --force to delete them, or move them away first",
        lines.join("\n")
    )
}

/// The generated files that were edited. Deleted files do not count.
pub(super) fn edited(plan: &Plan, generated: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut edited = Vec::new();
    for (path, recorded) in generated {
        if plan.read(path)?.is_some_and(|text| hash(&text) != *recorded) {
            edited.push(path.clone());
        }
    }
    Ok(edited)
}

/// Removes its lines from the files that list every domain.
fn remove_lines(plan: &mut Plan, manifest: &Manifest, survey: &Survey, released: &[String]) -> Result<()> {
    unlist(plan, &manifest.spec.name, survey)?;
    let names = manifest.migrations.iter().map(|migration| &migration.name);
    let mut gone = names.filter(|name| !released.contains(name));
    gone.try_for_each(|gone| plan.edit(MIGRATIONS, |text| lists::remove(text, "migrations", gone)))
}

/// The same for a domain without migrations.
fn unlist(plan: &mut Plan, name: &str, survey: &Survey) -> Result<()> {
    plan.edit(ROOT_MANIFEST, |text| cargo_toml::remove_member(text, name))?;
    plan.edit(SERVER_MANIFEST, |text| cargo_toml::remove_dependency(text, name))?;
    plan.edit(&survey.domains_list, |text| lists::remove(text, "domains", name))
}
