//! The steps of `cargo xtask ci`: one function each, listed here as data.

mod architecture;
mod browser;
mod cargo;
mod clients;
mod contract;
mod coverage;
mod deny;
pub(crate) mod faults;
mod generator;
mod links;
pub(crate) mod openapi;
mod postgres;
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

/// One check.
pub(crate) struct Step {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) about: &'static str,
    /// The check itself.
    pub(crate) run: fn(&Workspace) -> Result<Outcome>,
}

/// Every step, the quick ones first.
pub(crate) const STEPS: [Step; 15] = [
    Step { name: "fmt", about: "the code is formatted", run: cargo::fmt },
    Step { name: "links", about: "relative links in the documents lead somewhere", run: links::run },
    Step {
        name: "architecture",
        about: "the arrows between the crates, bans, licences, sources",
        run: architecture::run,
    },
    Step { name: "deny", about: "the same bans for every target, by cargo-deny", run: deny::run },
    Step { name: "test", about: "the tests, on SQLite", run: cargo::test },
    Step { name: "clippy", about: "no warning", run: cargo::clippy },
    Step { name: "docs", about: "the documentation builds without a warning", run: cargo::docs },
    Step { name: "postgres", about: "the tests again, on PostgreSQL", run: postgres::run },
    Step {
        name: "openapi",
        about: "docs/openapi.json is what the code says, valid, and can be met",
        run: openapi::run,
    },
    Step {
        name: "walkthrough",
        about: "the README's walkthrough works as it is written",
        run: walkthrough::run,
    },
    Step {
        name: "contract",
        about: "the server keeps its OpenAPI document under generated requests",
        run: contract::run,
    },
    Step {
        name: "clients",
        about: "linters and clients of other people's making have nothing to complain about",
        run: clients::run,
    },
    Step { name: "browser", about: "/docs and /redoc work in a browser with no internet", run: browser::run },
    Step {
        name: "generator",
        about: "generated domains pass every check unedited, and go without a trace",
        run: generator::run,
    },
    Step { name: "coverage", about: "enough lines are run by the tests", run: coverage::run },
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
