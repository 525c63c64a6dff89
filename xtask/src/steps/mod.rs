//! The steps of `cargo xtask ci`: one function each, listed here as data.

mod architecture;
pub(crate) mod bench;
mod browser;
mod cargo;
mod clients;
pub(crate) mod configuration;
mod contract;
mod coverage;
mod deny;
pub(crate) mod faults;
mod generator;
mod links;
pub(crate) mod load;
pub(crate) mod openapi;
mod postgres;
mod removed;
mod renamed;
mod walkthrough;

use anyhow::{Result, bail};

use crate::workspace::{Workspace, in_ci};

/// How a step ended that didn't fail.
pub(crate) enum Outcome {
    /// It ran and found nothing.
    Passed,
    /// It couldn't run here; why.
    Skipped(String),
}

/// When a step runs that nobody asked for by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// In every run.
    Always,
    /// With `--full`: it takes too long for every run.
    Full,
}

/// One check.
pub(crate) struct Step {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) about: &'static str,
    /// When it runs.
    pub(crate) when: When,
    /// The check itself.
    pub(crate) run: fn(&Workspace) -> Result<Outcome>,
}

const fn step(name: &'static str, about: &'static str, run: fn(&Workspace) -> Result<Outcome>) -> Step {
    Step { name, about, when: When::Always, run }
}

/// Every step, the quick ones first.
pub(crate) const STEPS: [Step; 18] = [
    step("fmt", "the code is formatted", cargo::fmt),
    step("links", "relative links in the documents lead somewhere", links::run),
    step("architecture", "the arrows between the crates, bans, licences, sources", architecture::run),
    step("deny", "the same bans for every target, by cargo-deny", deny::run),
    step("test", "the tests, on SQLite", cargo::test),
    step("clippy", "no warning", cargo::clippy),
    step("docs", "the documentation builds without a warning", cargo::docs),
    step("postgres", "the tests again, on PostgreSQL", postgres::run),
    step("openapi", "docs/openapi.json is what the code says, valid, and can be met", openapi::run),
    step("walkthrough", "the README's walkthrough works as it is written", walkthrough::run),
    step("contract", "the server keeps its OpenAPI document under generated requests", contract::run),
    step(
        "clients",
        "linters and clients of other people's making have nothing to complain about",
        clients::run,
    ),
    step("browser", "/docs and /redoc work in a browser with no internet", browser::run),
    step(
        "generator",
        "a domain works, on both engines: a generated one, which goes without a trace, and those made by hand as the pages say",
        generator::sample,
    ),
    step(
        "rename",
        "a copy with another name and without the domains that can go compiles, and names neither where it may not",
        renamed::check,
    ),
    step("coverage", "enough lines are run by the tests", coverage::run),
    Step {
        name: "domains",
        about: "a house that keeps every kind of generated domain passes every other step unedited",
        when: When::Full,
        run: generator::full,
    },
    Step {
        name: "renamed",
        about: "a renamed copy, one without the domains that can go, and one that is both pass what every house has to",
        when: When::Full,
        run: renamed::full,
    },
];

/// For a tool that is not here: a failure in CI, where `.ci/run` installs what is needed, else a reason to skip.
fn missing(what: &str) -> Result<Outcome> {
    if in_ci() {
        bail!("{what}, and in CI it has to be there: see .ci/run");
    }
    Ok(Outcome::Skipped(format!("{what}; `.ci/run` installs it")))
}

#[cfg(test)]
mod tests {
    use super::STEPS;

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
