//! `cargo xtask new-domain NAME --on A,B`: a domain without a table, for rules that others have together.

use std::collections::BTreeMap;

use anyhow::Result;

use super::making::{checked_plural, create_files, enlist};
use super::{Site, write_catalogue};
use crate::domain::composition::Composition;
use crate::domain::manifest;
use crate::domain::plan::Plan;
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::rules;
use crate::domain::survey::Survey;

/// A domain without a table, as somebody wishes for it.
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    /// What several of them are called; made from the name when absent.
    pub(super) plural: Option<&'a str>,
    /// The domains that it builds on.
    pub(super) on: &'a [String],
}

/// What making it will do.
pub(super) fn draft(site: &Site<'_>, wish: &Wish<'_>) -> Result<Plan> {
    let root = &site.workspace.root;
    let survey = Survey::of(root)?;
    let mut composition = composition(wish, &survey)?;
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

/// The domain, if it keeps the rules.
fn composition(wish: &Wish<'_>, survey: &Survey) -> Result<Composition, Refusal> {
    let plural = checked_plural(wish.name, wish.plural, survey)?;
    for (index, target) in wish.on.iter().enumerate() {
        if target == wish.name {
            refuse(format!("`{target}` can't build on itself"))?;
        }
        check_target(target, survey)?;
        if wish.on[..index].contains(target) {
            refuse(format!("`--on` names `{target}` twice"))?;
        }
    }
    Ok(Composition { name: wish.name.to_owned(), plural, on: wish.on.to_vec(), files: BTreeMap::new() })
}

/// It can only call a service that it knows: that of a generated domain with a table.
fn check_target(target: &str, survey: &Survey) -> Result<(), Refusal> {
    if survey.generated.contains_key(target) {
        return Ok(());
    }
    if survey.crates.contains(target) {
        return refuse(format!(
            "`{target}` has no table that was generated, so it is not known how one of its rows is found: leave it out, and add it afterwards, to \
             `builds-on` and the dependencies"
        ));
    }
    let known: Vec<&str> = survey.generated.keys().map(String::as_str).collect();
    let hint = if known.is_empty() {
        "make it first".to_owned()
    } else {
        format!("write one of {}", known.join(", "))
    };
    refuse(format!("there is no domain `{target}` to build on: {hint}"))
}

/// What to do with it.
pub(super) fn next_steps(name: &str) -> String {
    format!(
        "The code is yours now. Next:\n  write what it does into crates/{name}/src/service.rs: docs/rules-across-domains.md shows a checkout\n  cargo test -p {name}\n  cargo run, and then http://localhost:8000/docs\n  git add --all && git commit"
    )
}
