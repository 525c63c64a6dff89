//! `cargo xtask domains`: lists the domains and the commands that generate them.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;

use super::remove_domain::edited;
use super::write_catalogue;
use crate::domain::catalogue;
use crate::domain::grammar;
use crate::domain::hand_written::HandWritten;
use crate::domain::manifest::Manifest;
use crate::domain::plan::Plan;
use crate::domain::survey::Survey;
use crate::domain::view;
use crate::workspace::Workspace;

/// Options of the list.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Also update docs/domains/README.md.
    #[arg(long)]
    write: bool,
}

/// Lists the domains.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let survey = Survey::of(&workspace.root)?;
    let mut plan = Plan::new(&workspace.root);
    crate::output::text(&listing(&plan, &survey)?);
    if options.write {
        write_catalogue(&mut plan, &survey, &survey.specs())?;
        plan.apply()?;
        crate::output::text(&plan);
    }
    Ok(true)
}

/// One paragraph for each domain.
pub(super) fn listing(plan: &Plan, survey: &Survey) -> Result<String> {
    let mut text = String::new();
    for name in catalogue::domains(&survey.crates) {
        match survey.generated.get(name) {
            Some(manifest) => text.push_str(&generated(plan, manifest)?),
            None => text.push_str(&without_table(plan, survey, name)?),
        }
    }
    Ok(text)
}

fn generated(plan: &Plan, manifest: &Manifest) -> Result<String> {
    let spec = &manifest.spec;
    let edited = edited(plan, &manifest.files)?;
    let migrations: Vec<&str> = manifest.migrations.iter().map(|migration| migration.name.as_str()).collect();
    let mut text = format!("{}: generated\n  {}\n", spec.name, grammar::command_line(spec));
    writeln!(text, "  routes      {}", view::route(spec))?;
    writeln!(text, "  migrations  {}", migrations.join(", "))?;
    writeln!(text, "  edited      {}", listed(&edited))?;
    Ok(text)
}

fn without_table(plan: &Plan, survey: &Survey, name: &str) -> Result<String> {
    if let Some(record) = survey.hand_written.get(name) {
        return Ok(hand_written(record));
    }
    let Some(composition) = survey.compositions.get(name) else {
        return Ok(format!("{name}: written by hand, without a record\n"));
    };
    let edited = listed(&edited(plan, &composition.files)?);
    let (line, route) = (composition.command_line(), view::route(&composition.spec()));
    Ok(format!("{name}: generated\n  {line}\n  routes      {route}\n  edited      {edited}\n"))
}

/// The entry of a domain that was written by hand. It has no line `edited`, because only git knows that.
fn hand_written(record: &HandWritten) -> String {
    let HandWritten { name, crates, migrations, .. } = record;
    format!(
        "{name}: written by hand\n  crates      {}\n  migrations  {}\n",
        listed(crates),
        listed(migrations)
    )
}

fn listed(paths: &[String]) -> String {
    if paths.is_empty() { "nothing".to_owned() } else { paths.join(", ") }
}
