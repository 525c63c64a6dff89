//! `cargo xtask new-migration`: writes an empty migration and adds it to the list.

use anyhow::Result;
use clap::Args;

use super::add_field::module;
use crate::domain::lists;
use crate::domain::migrations;
use crate::domain::names;
use crate::domain::plan::{Plan, lines};
use crate::domain::refusal::Refusal;
use crate::domain::survey::MIGRATIONS;
use crate::workspace::Workspace;

const TEMPLATE: &str = include_str!("../../../templates/migration/empty.rs.jinja");

/// Greatest length of the name.
const LONGEST: usize = 60;

/// The migration to write.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cargo xtask new-migration drop_notes")]
pub(crate) struct Options {
    /// Name for its effect: `backfill_slugs`. A date and a number are added in front.
    name: String,
}

/// Writes the file and its line.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let plan = draft(workspace, &options.name, &migrations::now()?)?;
    plan.apply()?;
    crate::output::text(&plan);
    crate::output::say!("\nNext: write `up` and `down`, and test them with `cargo test -p migration`");
    Ok(true)
}

/// Plans the changes.
pub(super) fn draft(workspace: &Workspace, name: &str, now: &str) -> Result<Plan> {
    names::check(name, LONGEST).map_err(Refusal::new)?;
    let mut plan = Plan::new(&workspace.root);
    let listed = lists::names(&plan.expect(MIGRATIONS)?, "migrations")?.unwrap_or_default();
    let migration = migrations::next(&listed, now, name)?;
    let about = names::capitalized(&name.replace('_', " "));
    plan.create(module(&migration), lines(TEMPLATE).replace("{{ about }}", &about))?;
    plan.edit(MIGRATIONS, |text| lists::add(text, "migrations", &migration))?;
    Ok(plan)
}
