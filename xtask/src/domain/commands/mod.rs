//! The commands: each makes a plan out of its options, and then carries it out.

pub(crate) mod add_field;
mod compose;
mod entry;
pub(crate) mod list;
pub(crate) mod new_domain;
pub(crate) mod new_migration;
mod removal;
pub(crate) mod remove_by_hand;
pub(crate) mod remove_domain;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use clap::Args;

use super::catalogue;
use super::composition::Composition;
use super::migrations;
use super::plan::Plan;
use super::refusal::Refusal;
use super::render::{self, Rendered};
use super::spec::{Field, Spec};
use super::survey::Survey;
use super::view::Specs;
use crate::process::Invocation;
use crate::steps::openapi;
use crate::workspace::Workspace;

/// The manifests that name every domain.
const ROOT_MANIFEST: &str = "Cargo.toml";
const SERVER_MANIFEST: &str = "crates/server/Cargo.toml";

/// What cargo makes of all manifests.
const LOCK: &str = "Cargo.lock";

/// How fields are written, for the help of two commands.
const FIELDS: &str = "\
A field is NAME:TYPE, and after more colons what else there is to say about it: title:string:1..200:unique

Types:
  string           one line of at most 255 characters, or as many as a range says
  text             several lines, at most 10000 characters, or as many as a range says
  bool             bool=false and bool=true also say what it is when it is absent
  int, bigint      whole numbers of 32 bits, and of the 53 bits that JavaScript keeps exactly
  decimal=10,2     exact: 10 digits, 2 of them after the point
  float, date, timestamp, uuid, json, email, url
  enum=news,essay  one of these
  ref=DOMAIN       a row of another domain, as in ref=user, or of the domain itself
  upload           a file of whoever sets it, where there are uploads

Modifiers:
  optional         may be absent
  unique           no two rows have the same
  1..200           bounds of a number, or of how many characters a text has; also 1.. and ..200
  default=VALUE    what it is when it is absent
  filter           the list can be narrowed by it
  sort             the list can be sorted by it
  search           the list's q looks into it
  index            has an index, for queries of your own
  owner            on ref=user: set from the token, and says whose the row is
  cascade, restrict, set-null
                   on ref and upload: what happens to the row when what it refers to is deleted";

/// How a command is carried out.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Leave docs/openapi.json as it is, which saves compiling the server; `cargo xtask openapi` writes it later.
    #[arg(long)]
    no_openapi: bool,
}

/// What makes the files of a domain.
pub(crate) trait Render {
    /// All files but `domain.toml`; `migration` is the module that makes the table.
    fn domain(&self, spec: &Spec, specs: &Specs, migration: &str) -> Result<Vec<Rendered>>;

    /// All files but `domain.toml` of a domain without a table.
    fn composition(&self, composition: &Composition, specs: &Specs) -> Result<Vec<Rendered>>;

    /// The migration that adds these fields, which `spec` has already.
    fn added_fields(&self, spec: &Spec, new: &[Field], specs: &Specs, migration: &str) -> Result<Rendered>;

    /// The names that generated code has from elsewhere.
    fn reserved_types(&self) -> Result<BTreeSet<String>>;
}

/// The templates of the workspace.
struct Templates<'a> {
    workspace: &'a Workspace,
}

impl Render for Templates<'_> {
    fn domain(&self, spec: &Spec, specs: &Specs, migration: &str) -> Result<Vec<Rendered>> {
        render::domain(&self.workspace.root, spec, specs, migration)
    }

    fn composition(&self, composition: &Composition, specs: &Specs) -> Result<Vec<Rendered>> {
        render::composition(&self.workspace.root, composition, specs)
    }

    fn added_fields(&self, spec: &Spec, new: &[Field], specs: &Specs, migration: &str) -> Result<Rendered> {
        render::added_fields(&self.workspace.root, spec, new, specs, migration)
    }

    fn reserved_types(&self) -> Result<BTreeSet<String>> {
        render::reserved_types(&self.workspace.root)
    }
}

/// Where a command works, and with what.
pub(crate) struct Site<'a> {
    workspace: &'a Workspace,
    render: &'a dyn Render,
    /// As `20261121_101500`.
    now: String,
}

/// Runs something in the workspace, with the templates of the workspace and the time of day.
fn on_site<T>(workspace: &Workspace, work: impl FnOnce(&Site<'_>) -> Result<T>) -> Result<T> {
    work(&Site { workspace, render: &Templates { workspace }, now: migrations::now()? })
}

/// Writes what is planned, and what other tools make of it; true when something was written.
fn carry_out(workspace: &Workspace, plan: &Plan, how: How) -> Result<bool> {
    if how.dry_run {
        crate::output::text(&plan);
        let document = if how.no_openapi { "" } else { " and docs/openapi.json" };
        crate::output::say!(
            "and what follows from that in Cargo.lock{document}\nnothing was written: leave --dry-run out for that"
        );
        return Ok(false);
    }
    plan.apply()?;
    crate::output::text(&plan);
    let locked = workspace.read(LOCK).unwrap_or_default();
    lock(workspace)?;
    if workspace.read(LOCK)? != locked {
        crate::output::say!("change  {LOCK}");
    }
    if !how.no_openapi {
        openapi::write(workspace).context(
            "all files are written but docs/openapi.json, for the server can't say it: see above, mend that, and run `cargo xtask openapi`",
        )?;
    }
    Ok(true)
}

/// Writes the lines of the workspace's own crates in the lock file again. `cargo metadata` would do so too, but it wants the
/// packages of every platform on this machine, and without the network they may not be there.
pub(crate) fn lock(workspace: &Workspace) -> Result<()> {
    let update = Invocation::new("cargo").args(["update", "--workspace", "--offline", "--quiet"]);
    update.current_dir(&workspace.root).capture().map(drop).context(
        "all files are written but Cargo.lock, for cargo does not take the manifests: see above, mend that, and run `cargo update --workspace`",
    )
}

/// The page that lists the domains, with these domains generated.
fn write_catalogue(plan: &mut Plan, survey: &Survey, generated: &Specs) -> Result<()> {
    let known = survey.crates.iter().filter(|name| !survey.generated.contains_key(*name));
    let crates = known.chain(generated.keys()).cloned().collect();
    let page = catalogue::page(plan, &crates, generated)?;
    plan.write(catalogue::PATH, page)
}

/// The fields that a command line describes.
fn parse_fields(fields: &[String]) -> Result<Vec<Field>, Refusal> {
    fields.iter().map(|field| super::grammar::parse(field)).collect()
}
