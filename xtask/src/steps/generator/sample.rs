//! Generates domains, adds a field to one, and removes them again. The domains that the documentation writes by hand are built
//! together with them.

use std::collections::BTreeSet;

use anyhow::Result;

use super::copy::{Build, Copy};
use super::recipe;
use crate::steps::{Outcome, postgres};
use crate::workspace::Workspace;

const DOMAINS: &str = "xtask/generator/sample.txt";

/// The domain that gets additional fields. Another one refers to it, and a third is built on it. The others are not changed.
const GROWN: &str = "category";

/// The fields that are added to it, of which one is its first file.
const ADDED: &str = "subtitle:string:1..80:optional:sort:search icon:upload:optional";

/// Generates all domains before the first build, so that the server and its tests are built once.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let domains = super::domains(workspace, DOMAINS)?;
    let copy = Copy::make(workspace, "generator", Build::Lent, &domains)?;
    for line in &domains {
        copy.xtask(&format!("new-domain {} --no-openapi", copy.renamed(line)))?;
    }
    let added = super::possible(workspace, ADDED.to_owned());
    copy.xtask(&format!("add-field {} {added} --no-openapi", copy.name(GROWN)))?;
    let made = copy.made(&domains);
    let before = copy.commit("made")?;
    let by_hand = recipe::follow(workspace, &copy)?;
    let with_jobs = super::write_jobs(workspace, &copy)?;
    let written = by_hand.iter().chain(&with_jobs).map(String::as_str);
    let all: BTreeSet<&str> = made.iter().copied().chain(written).collect();
    let all: Vec<&str> = all.into_iter().collect();
    let on_postgres = postgres::with_server(workspace, |url| {
        copy.tests(&all, Some(url))?;
        Ok(Outcome::Passed)
    })?;
    copy.tests(&all, None)?;
    copy.back(&before)?;
    copy.remove_domains(&made)?;
    copy.expect_no_trace()?;
    copy.thrown_away()?;
    Ok(on_postgres)
}
