//! Checks and hints of every removal of a domain: no other crate may need it, released migrations are kept, and databases may still
//! have its table.

use anyhow::{Context as _, Result, bail};

use super::add_field::module;
use crate::domain::cargo_toml;
use crate::domain::migrations::{self, RELEASED};
use crate::domain::plan::Plan;
use crate::domain::survey::Survey;

/// The plan, the migrations that are kept, and the hint on databases in which the others ran.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) plan: Plan,
    pub(super) released: Vec<String>,
    pub(super) databases: String,
    /// It was written by hand, so edited files have to be formatted, and the reference of the settings generated again.
    pub(super) is_by_hand: bool,
}

/// The hint for developers who ran the server with the domain: the server does not start on a database with migrations that it does
/// not know.
pub(super) fn databases(migrations: &[&str], listed: &[String], released: &[String]) -> String {
    let goes = |name: &&String| migrations.contains(&name.as_str()) && !released.contains(name);
    let Some(first) = listed.iter().find(goes) else { return String::new() };
    let steps = listed.iter().skip_while(|name| *name != first).count();
    format!(
        "\n\nA database in which `{first}` ran still has the table, and the server refuses to start on it. If you have one:\n  \
         delete the folder `data` (or drop the database), if nothing in it matters\n  \
         or restore the domain (`git stash --include-untracked`), run `cargo run -- migrate down --steps {steps}`, and remove it \
         again (`git stash pop`)\n  \
         or keep the table: `cargo run -- migrate repair`"
    )
}

/// Fails if another crate than the server depends on one of these.
pub(super) fn refuse_depended(plan: &Plan, survey: &Survey, names: &[&String]) -> Result<()> {
    let members = survey
        .crates
        .iter()
        .filter(|member| !names.contains(member))
        .map(|member| format!("crates/{member}"))
        .chain(["migration", "tests", "xtask"].map(str::to_owned));
    for folder in members.filter(|folder| folder != "crates/server") {
        let path = format!("{folder}/Cargo.toml");
        let Some(text) = plan.read(&path)? else { continue };
        for name in names {
            if cargo_toml::depends_on(&text, name).with_context(|| format!("in {path}"))? {
                bail!("{path} depends on `{name}`: remove the dependency first, with the code that needs it");
            }
        }
    }
    Ok(())
}

/// Fails if a migration that was written by hand, and is not one of the domain, names the table: it would fail on every new database.
/// Of the generated ones, only those of domains that refer to it do, and these were rejected before.
pub(super) fn refuse_migrated(plan: &Plan, survey: &Survey, table: &str, own: &[&str]) -> Result<()> {
    let calls = ["table", "to", "from", "resource"].map(|call| format!("{call}(\"{table}\""));
    let is_generated = |name: &String| {
        let mut migrations = survey.generated.values().flat_map(|domain| &domain.migrations);
        migrations.any(|migration| migration.name == *name)
    };
    let is_other = |name: &&String| !is_generated(name) && !own.contains(&name.as_str());
    for name in survey.migrations.iter().filter(is_other) {
        let text = plan.expect(module(name))?;
        if calls.iter().any(|call| text.contains(call)) {
            bail!("{} names the table `{table}`: remove that first", module(name));
        }
    }
    Ok(())
}

/// Those of its migrations that were released.
pub(super) fn released(plan: &Plan, survey: &Survey, names: &[&str]) -> Result<Vec<String>> {
    let released = migrations::released(&plan.expect(RELEASED)?, &survey.migrations, names)?;
    Ok(released.into_iter().map(str::to_owned).collect())
}

pub(super) fn refuse_released(released: &[String]) -> Result<()> {
    let Some(first) = released.first() else { return Ok(()) };
    bail!(
        "the migration `{first}` was released (see {RELEASED}), so there are databases with the table: use --force, which removes everything except that migration, and drop the table in a new one"
    )
}
