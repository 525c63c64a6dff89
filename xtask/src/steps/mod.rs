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

/// The result of a step that did not fail.
pub(crate) enum Outcome {
    /// It ran without findings.
    Passed,
    /// It can't run on this machine, with the reason.
    Skipped(String),
}

/// When a step runs, unless `--only` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// In every run.
    Always,
    /// With `--full`: it takes too long for every run.
    Full,
}

/// One check.
pub(crate) struct Step {
    /// Its name, for `--only` and `--skip`.
    pub(crate) name: &'static str,
    /// What it checks, in a few words.
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
    step("links", "relative links in the documents have existing targets", links::run),
    step(
        "architecture",
        "the rules on dependencies between crates, banned packages, licences, registries",
        architecture::run,
    ),
    step("deny", "the rules of deny.toml for every platform, by cargo-deny", deny::run),
    step("test", "the tests, on SQLite", cargo::test),
    step("clippy", "clippy reports no warning", cargo::clippy),
    step("docs", "the documentation builds without a warning", cargo::docs),
    step("postgres", "the tests again, on PostgreSQL", postgres::run),
    step("openapi", "docs/openapi.json is up to date and valid, and requests can satisfy it", openapi::run),
    step("walkthrough", "the commands of the walkthrough in the README work", walkthrough::run),
    step("contract", "the server conforms to its OpenAPI document under generated requests", contract::run),
    step("clients", "third-party linters, client generators and clients accept the API", clients::run),
    step("browser", "/docs and /redoc work in a browser without internet access", browser::run),
    step(
        "generator",
        "a generated domain, and those written by following the pages, work on both databases; removing a domain leaves no trace",
        generator::sample,
    ),
    step(
        "rename",
        "a copy that is renamed and without removable domains compiles, and mentions neither the old name nor those domains",
        renamed::check,
    ),
    step("coverage", "the tests cover enough lines", coverage::run),
    Step {
        name: "domains",
        about: "a copy with every kind of generated domain passes all other steps",
        when: When::Full,
        run: generator::full,
    },
    Step {
        name: "renamed",
        about: "a renamed copy, a copy without removable domains, and a copy with both changes pass the tests",
        when: When::Full,
        run: renamed::full,
    },
];

/// The result if a tool is missing: a failure in CI, where `.ci/run` installs the tools, otherwise a skipped step.
fn missing(what: &str) -> Result<Outcome> {
    if in_ci() {
        bail!("{what}, and CI requires it: see .ci/run");
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
