//! The commands: each computes a plan from its options, and then executes it.

pub(crate) mod add_field;
mod compose;
mod entry;
pub(crate) mod list;
pub(crate) mod new_domain;
pub(crate) mod new_job;
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
use super::job::JobView;
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

/// The lock file, which cargo derives from all manifests.
const LOCK: &str = "Cargo.lock";

/// The syntax of fields, for the help of two commands.
const FIELDS: &str = "\
A field is NAME:TYPE, followed by modifiers, each after a colon: title:string:1..200:unique

Types:
  string           one line of 1 to 255 characters, unless a range is set
  text             several lines of 1 to 10000 characters, unless a range is set
  bool             true or false; bool=false and bool=true set a default
  int, bigint      integers of 32 bits, and of the 53 bits that JavaScript represents exactly
  decimal=10,2     an exact number of 10 digits, 2 of them after the point
  float, date, timestamp, uuid, json, email, url
  enum=news,essay  one of these values
  ref=DOMAIN       the id of a row of another domain, as in ref=user, or of the same domain
  upload           a completed upload of the caller; requires the domain upload

Modifiers:
  optional         may be absent, or null
  unique           no two rows have the same value
  1..200           bounds of a number, or of the number of characters of a text; also 1.. and ..200
  default=VALUE    the value if the field is absent
  filter           the list can be filtered by it
  sort             the list can be sorted by it
  search           the parameter q of the list searches it
  index            has an index, for queries that you write
  owner            on ref=user: the user who owns the row, set from the token
  cascade, restrict, set-null
                   on ref and upload: the action when the referenced row is deleted
  within=FIELD     on a ref to the same domain: both rows have the same FIELD, another ref";

/// Options on how a command is executed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Print the changes without writing them.
    #[arg(long)]
    dry_run: bool,
    /// Do not update docs/openapi.json, which requires compiling the server; `cargo xtask openapi` does so later.
    #[arg(long)]
    no_openapi: bool,
}

/// Renders the files of a domain.
pub(crate) trait Render {
    /// All files except `domain.toml`; `migration` is the module that creates the table.
    fn domain(&self, spec: &Spec, specs: &Specs, migration: &str) -> Result<Vec<Rendered>>;

    /// All files except `domain.toml` of a domain without a table.
    fn composition(&self, composition: &Composition, specs: &Specs) -> Result<Vec<Rendered>>;

    /// The migration that adds these fields, which `spec` already contains.
    fn added_fields(&self, spec: &Spec, new: &[Field], specs: &Specs, migration: &str) -> Result<Rendered>;

    /// The file of a job, and the list of the jobs of its domain with this one alone.
    fn job(&self, job: &JobView) -> Result<[Rendered; 2]>;

    /// The names of types that generated code imports.
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

    fn job(&self, job: &JobView) -> Result<[Rendered; 2]> {
        render::job(&self.workspace.root, job)
    }

    fn reserved_types(&self) -> Result<BTreeSet<String>> {
        render::reserved_types(&self.workspace.root)
    }
}

/// The workspace of a command, with the renderer and the time.
pub(crate) struct Site<'a> {
    workspace: &'a Workspace,
    render: &'a dyn Render,
    /// Current time as `20261121_101500`.
    now: String,
}

/// Runs a function with the workspace, its templates and the current time.
fn on_site<T>(workspace: &Workspace, work: impl FnOnce(&Site<'_>) -> Result<T>) -> Result<T> {
    work(&Site { workspace, render: &Templates { workspace }, now: migrations::now()? })
}

/// Writes the planned files, the lock file and the OpenAPI document; true if files were written.
fn carry_out(workspace: &Workspace, plan: &Plan, how: How) -> Result<bool> {
    if how.dry_run {
        crate::output::text(&plan);
        let documents = plan.documents().iter().copied().chain([openapi::DOCUMENT]);
        let documents = documents.filter(|_| !how.no_openapi);
        let rewritten = [LOCK].into_iter().chain(documents).collect::<Vec<_>>().join(", ");
        crate::output::say!(
            "and the resulting changes of {rewritten}\nnothing was written because of --dry-run"
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
            "all files are written except docs/openapi.json, because the server does not compile or start: fix the error above, and run `cargo xtask openapi`",
        )?;
    }
    Ok(true)
}

/// Updates the crates of the workspace in the lock file. `cargo metadata` would do so too, but it requires the packages of every
/// platform, which may not be available without the network.
pub(crate) fn lock(workspace: &Workspace) -> Result<()> {
    let update = Invocation::new("cargo").args(["update", "--workspace", "--offline", "--quiet"]);
    update.current_dir(&workspace.root).capture().map(drop).context(
        "all files are written except Cargo.lock, because cargo rejects the manifests: fix the error above, and run `cargo update --workspace`",
    )
}

/// Plans the page that lists the domains, of which these are generated.
fn write_catalogue(plan: &mut Plan, survey: &Survey, generated: &Specs) -> Result<()> {
    let known = survey.crates.iter().filter(|name| !survey.generated.contains_key(*name));
    let crates = known.chain(generated.keys()).cloned().collect();
    let page = catalogue::page(plan, &crates, generated)?;
    plan.write(catalogue::PATH, page)
}

/// Parses the fields of a command line.
fn parse_fields(fields: &[String]) -> Result<Vec<Field>, Refusal> {
    fields.iter().map(|field| super::grammar::parse(field)).collect()
}
