//! Steps of every new domain: its names are checked, its files are planned, and it is added to the lists that are edited by hand.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{ROOT_MANIFEST, SERVER_MANIFEST};
use crate::domain::cargo_toml;
use crate::domain::lists;
use crate::domain::manifest::hash;
use crate::domain::plan::Plan;
use crate::domain::plural::{plural, singular};
use crate::domain::refusal::{Refusal, refuse};
use crate::domain::render::Rendered;
use crate::domain::rules;
use crate::domain::survey::Survey;

/// The plural, if both the name and the plural are allowed.
pub(super) fn checked_plural(name: &str, wanted: Option<&str>, survey: &Survey) -> Result<String, Refusal> {
    rules::check_name(name, survey)?;
    if let (Some(one), None) = (singular(name), wanted) {
        refuse(format!(
            "`{name}` is a plural, and the name of a domain is a singular: write `{one}`, or state the plural of `{name}` with `--plural`"
        ))?;
    }
    let plural = wanted.map_or_else(|| plural(name), str::to_owned);
    rules::check_plural(&plural, survey)?;
    Ok(plural)
}

/// Plans new files and returns their hashes; no file may exist yet.
pub(super) fn create_files(plan: &mut Plan, files: &[Rendered]) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for file in files {
        let path = file.path.display().to_string();
        if plan.read(&file.path)?.is_some() {
            refuse(format!(
                "{path} already exists, and no file is overwritten: choose another name for the domain, or move the file away"
            ))?;
        }
        plan.create(&file.path, &file.text)?;
        hashes.insert(path, hash(&file.text));
    }
    Ok(hashes)
}

/// Adds its lines to the files that list every domain.
pub(super) fn enlist(plan: &mut Plan, name: &str, survey: &Survey) -> Result<()> {
    let members = cargo_toml::members(&plan.expect(ROOT_MANIFEST)?)?;
    plan.edit(ROOT_MANIFEST, |text| cargo_toml::add_member(text, name))?;
    plan.edit(SERVER_MANIFEST, |text| cargo_toml::add_dependency(text, name, &members))?;
    plan.edit(&survey.domains_list, |text| lists::add(text, "domains", name))
}
