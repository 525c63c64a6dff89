//! The product beside two servers that do less, measured in turn: see `docs/performance.md`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser};
use serde::Serialize;

use super::generator::copy::{Build, Copy};
use super::{Outcome, load, postgres};
use crate::process::Invocation;
use crate::workspace::Workspace;

/// The routes, as the driver names them.
const ROUTES: &[&str] = &[
    "live",
    "me",
    "me-cold",
    "user",
    "list",
    "list-deep",
    "patch",
    INSERT,
    "upload", // domain: upload
    "refresh",
    "login",
    "me-busy",
];

/// The route that needs a generated domain.
const INSERT: &str = "insert";

/// The domain, as the servers `limit` and `plain` know it.
const DOMAIN: &str = "bench_note title:string:1..200 body:text author:ref=user:owner";

/// Options of `cargo xtask bench`. The driver reads them as JSON.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Number of users in the database, each with a session.
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<usize>::new().range(60..))]
    users: usize,
    /// Duration of a measurement in seconds. A second of warming precedes each, or as long as the measurement if that is shorter.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Number of measurements of each server and route. The figures are medians.
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    rounds: usize,
    /// Number of connections, each of which sends a request when the previous one is answered; 8 at most for `login`.
    #[arg(long, default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    connections: usize,
    /// Number of threads that answer requests, of each server.
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    workers: usize,
    /// Only these routes. With `insert`, which is among them by default, the product is built from a copy of the workspace with a
    /// generated domain.
    #[arg(long, value_name = "ROUTE", value_delimiter = ',', value_parser = PossibleValuesParser::new(ROUTES))]
    only: Vec<String>,
    /// Measure on SQLite, without the server `limit`.
    #[arg(long)]
    sqlite: bool,
    /// File that the result is written to [default: target/xtask/bench/result.json].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also print the change of each figure since this earlier result. It may be the file that the new result is written to.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 0.05..=600.0;
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if RANGE.contains(&number) { Ok(number) } else { Err("must be from 0.05 to 600".to_owned()) }
}

/// Builds the servers and measures. `false`: there is no PostgreSQL here.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let current = std::env::current_dir().context("the working directory is gone")?;
    let default = workspace.kept("bench")?.join("result.json");
    // The driver runs in the root of the workspace; a relative path means the folder of the caller.
    let options = Options {
        json: Some(options.json.as_ref().map_or(default, |file| current.join(file))),
        compare: options.compare.as_ref().map(|file| current.join(file)),
        ..options.clone()
    };
    if let Some(file) = options.compare.as_ref().filter(|file| !file.is_file()) {
        bail!("there is no earlier result {}", file.display());
    }
    let needs_domain = options.only.is_empty() || options.only.iter().any(|route| route == INSERT);
    let product = if needs_domain { with_domain(workspace)? } else { alone(workspace)? };
    cargo(workspace, &["build", "--release", "--locked", "--package", "bench"]).run()?;
    let machine = load::machine()?;
    let measure = |database: Option<&str>| {
        let json = serde_json::to_string(&options).context("the options are no JSON")?;
        let driver = Invocation::new(workspace.target.join("release/bench")).arg(&product).arg(json);
        let driver = driver.without_configuration().current_dir(&workspace.root);
        let driver = database.into_iter().fold(driver, |driver, url| driver.env("TEST_DATABASE_URL", url));
        // Its progress goes to our own errors. A run has no limit of time: the options say how long it takes.
        let tables = driver.capture()?;
        crate::output::say!("**Machine:** {machine}\n\n{tables}");
        Ok(Outcome::Passed)
    };
    let outcome = if options.sqlite {
        measure(None)?
    } else {
        postgres::with_server(workspace, |url| measure(Some(url)))?
    };
    if let Outcome::Skipped(why) = &outcome {
        crate::output::say!("{why}");
    }
    Ok(matches!(outcome, Outcome::Passed))
}

/// The product's release binary. Built together with the tests, it would have code that is only for tests.
fn alone(workspace: &Workspace) -> Result<PathBuf> {
    cargo(workspace, &["build", "--release", "--locked"]).run()?;
    workspace.binary("release")
}

/// The release binary of a copy of the workspace that has the generated domain. It is built in the workspace's own target folder,
/// so that dependencies are built once, and moved away from there, so that nobody takes it for the workspace's.
fn with_domain(workspace: &Workspace) -> Result<PathBuf> {
    let copy = Copy::make(workspace, "bench-domain", Build::Own, &[])?;
    copy.xtask(&format!("new-domain {DOMAIN} --no-openapi"))?;
    copy.cargo("build --release --locked").env("CARGO_TARGET_DIR", &workspace.target).run()?;
    let product = workspace.kept("bench")?.join("ashlar");
    fs::rename(workspace.binary("release")?, &product).context("can't move the binary")?;
    copy.thrown_away()?;
    Ok(product)
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Invocation {
    Invocation::new("cargo").args(args).without_configuration().current_dir(&workspace.root)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_options_are_those_of_the_driver() {
        let cli =
            Cli::try_parse_from(["bench", "--only", "me,list-deep", "--seconds", "0.2", "--sqlite"]).unwrap();
        let json = serde_json::to_value(cli.options).unwrap();
        let expected = serde_json::json!({
            "users": 100_000, "seconds": 0.2, "rounds": 5, "connections": 32, "workers": 2,
            "only": ["me", "list-deep"], "sqlite": true, "json": null, "compare": null,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn options_out_of_their_range_are_refused() {
        for wrong in [
            ["--users", "59"],
            ["--seconds", "0"],
            ["--seconds", "NaN"],
            ["--rounds", "0"],
            ["--only", "all"],
        ] {
            assert!(Cli::try_parse_from(["bench"].into_iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }
}
