//! Measures the release binary under the load of many clients, and writes the figures as a table.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context, Result};

use crate::process::Invocation;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/load.md";

/// The beginning of the figures. The text before it is written by hand.
const FIGURES: &str = "**Machine:**";

/// Produces the situations and writes the figures.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let cargo = |args: &[&str]| {
        Invocation::new("cargo").args(args).without_configuration().current_dir(&workspace.root)
    };
    cargo(&["build", "--release", "--locked"]).run()?;
    let example = ["run", "--quiet", "--locked", "--package", "tests", "--example", "load", "--"];
    let machine = machine()?;
    let table = cargo(&example).arg(workspace.binary("release")?).capture()?;
    let text = workspace.read(DOCUMENT)?;
    let (text, _) = text.split_once(FIGURES).with_context(|| format!("{DOCUMENT} has no figures"))?;
    let figures = format!("{FIGURES} {machine}\n\n{table}");
    fs::write(workspace.root.join(DOCUMENT), format!("{text}{figures}"))
        .context("can't write the document")?;
    crate::output::text(&figures);
    Ok(())
}

/// The machine, and its load before the measurement (Linux).
pub(super) fn machine() -> Result<String> {
    let first_line = |path: &str| -> Result<String> {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let number = |line: &str, index: usize| -> Result<f64> {
        let word = line.split_whitespace().nth(index).context("a line of /proc without a number")?;
        word.parse().context("a line of /proc without a number")
    };
    let cores = available_parallelism().context("the number of cores is unknown")?;
    let memory = number(&first_line("/proc/meminfo")?, 1)? / 1024.0 / 1024.0;
    let load = number(&first_line("/proc/loadavg")?, 0)?;
    let date = Invocation::new("date").args(["-u", "+%F"]).capture()?;
    Ok(format!("{cores} cores, {memory:.0} GiB, load {load:.1} at the start. **Date:** {}.", date.trim()))
}
