//! A domain as somebody makes it, adds a field to it and removes it again. Beside it, and built together with it, those that a
//! reader of the documentation makes by hand.

use anyhow::Result;

use super::copy::{Build, Copy};
use super::recipe;
use crate::steps::{Outcome, postgres};
use crate::workspace::Workspace;

const DOMAINS: &str = "xtask/generator/sample.txt";

/// The one of them that gets a field more, and is referred to by another. The others stay as they were made.
const GROWN: &str = "category";

/// What is added to it.
const ADDED: &str = "subtitle:string:1..80:optional:sort:search";

/// All domains are made before anything is built, so that the server and its tests are built once.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let domains = super::domains(workspace, DOMAINS)?;
    let copy = Copy::make(workspace, "generator", Build::Lent, &domains)?;
    for line in &domains {
        copy.xtask(&format!("new-domain {} --no-openapi", copy.renamed(line)))?;
    }
    copy.xtask(&format!("add-field {} {ADDED} --no-openapi", copy.name(GROWN)))?;
    let made = copy.made(&domains);
    let before = copy.commit("made")?;
    let by_hand = recipe::follow(workspace, &copy)?;
    let all: Vec<&str> = made.iter().copied().chain(by_hand.iter().map(String::as_str)).collect();
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
