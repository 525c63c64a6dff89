//! `cargo xtask new-domain NAME --on A,B`: generates a domain without a table, for a rule across other domains.

use std::collections::BTreeMap;

use anyhow::Result;

use super::entry::{checked_plural, create_files, enlist};
use super::{Site, write_catalogue};
use crate::domain::composition::Composition;
use crate::domain::manifest;
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::rules;
use crate::domain::survey::Survey;

/// The options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) name: &'a str,
    pub(super) plural: Option<&'a str>,
    /// The domains that it builds on.
    pub(super) on: &'a [String],
}

/// Plans the changes.
pub(super) fn draft(site: &Site<'_>, request: &Request<'_>) -> Result<Plan> {
    let root = &site.workspace.root;
    let survey = Survey::of(root)?;
    let mut composition = composition(request, &survey)?;
    rules::check_types(&composition.spec(), &survey, &site.render.reserved_types()?)?;
    let files = site.render.composition(&composition, &survey.specs())?;
    let mut plan = Plan::new(root);
    composition.files = create_files(&mut plan, &files)?;
    plan.create(manifest::path(&composition.name), composition.text())?;
    enlist(&mut plan, &composition.name, &survey)?;
    let mut known = survey.crates.clone();
    known.insert(composition.name.clone());
    let with_it = Survey { crates: known, ..Survey::default() };
    write_catalogue(&mut plan, &with_it, &survey.specs())?;
    Ok(plan)
}

/// The domain, if it satisfies the rules.
fn composition(request: &Request<'_>, survey: &Survey) -> Result<Composition, Refusal> {
    let plural = checked_plural(request.name, request.plural, survey)?;
    for (index, target) in request.on.iter().enumerate() {
        if target == request.name {
            refuse(format!("`{target}` can't build on itself"))?;
        }
        check_target(target, survey)?;
        if request.on[..index].contains(target) {
            refuse(format!("`--on` names `{target}` twice"))?;
        }
    }
    Ok(Composition { name: request.name.to_owned(), plural, on: request.on.to_vec(), files: BTreeMap::new() })
}

/// The templates can only call the service of a generated domain with a table.
fn check_target(target: &str, survey: &Survey) -> Result<(), Refusal> {
    if survey.generated.contains_key(target) {
        return Ok(());
    }
    if survey.crates.contains(target) {
        return refuse(format!(
            "`{target}` has no generated table, so the generator does not know how to read one of its rows: omit it, and add it afterwards to \
             `builds-on` and the dependencies"
        ));
    }
    let known: Vec<&str> = survey.generated.keys().map(String::as_str).collect();
    let hint = if known.is_empty() {
        "generate it first".to_owned()
    } else {
        format!("write one of {}", known.join(", "))
    };
    refuse(format!("there is no domain `{target}` to build on: {hint}"))
}

/// The next steps to print.
pub(super) fn next_steps(name: &str) -> String {
    format!(
        "The code is yours now. Next:\n  write its rules in crates/{name}/src/service.rs: docs/rules-across-domains.md shows a checkout\n  cargo test -p {name}\n  cargo run, then open http://localhost:8000/docs\n  git add --all && git commit"
    )
}
