//! Runs the steps and prints a summary.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::steps::{Outcome, STEPS, Step, When};
use crate::workspace::Workspace;

/// Which steps to run.
#[derive(Args, Clone, Default)]
pub(crate) struct Options {
    /// Run only these steps, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Skip these steps, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    skip: Vec<String>,
    /// Also run the steps that take too long for every run.
    #[arg(long)]
    full: bool,
    /// Stop at the first step that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Print the steps without running them.
    #[arg(long)]
    list: bool,
}

/// One line of the summary.
struct Report {
    step: &'static Step,
    result: Result<Outcome>,
    took: Duration,
}

/// Runs the chosen steps; true if none of them failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if options.list {
        // Also the steps that only run with `--full`.
        for step in choose(&Options { full: true, ..options.clone() })? {
            crate::output::say!("{:<13} {:<7} {}", step.name, mark(step.when), step.about);
        }
        return Ok(true);
    }
    let chosen = choose(options)?;
    let mut reports = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        crate::output::say!("\n==> [{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.about);
        let report = run_one(workspace, step);
        let failed = report.result.is_err();
        reports.push(report);
        if failed && options.fail_fast {
            break;
        }
    }
    Ok(summarize(&reports, chosen.len()))
}

fn run_one(workspace: &Workspace, step: &'static Step) -> Report {
    let begun = Instant::now();
    let result = (step.run)(workspace);
    let took = begun.elapsed();
    match &result {
        Ok(Outcome::Passed) => crate::output::say!("<== {} passed in {:.1} s", step.name, took.as_secs_f32()),
        Ok(Outcome::Skipped(why)) => crate::output::say!("<== {} skipped: {why}", step.name),
        Err(error) => {
            crate::output::say!("<== {} FAILED after {:.1} s\n{error:#}", step.name, took.as_secs_f32());
        }
    }
    Report { step, result, took }
}

/// The column of the list that shows when a step runs.
fn mark(when: When) -> &'static str {
    match when {
        When::Always => "",
        When::Full => "--full",
    }
}

/// The steps to run. A step that `--only` names runs even without `--full`.
fn choose(options: &Options) -> Result<Vec<&'static Step>> {
    let Options { only, skip, full, .. } = options;
    for name in only.iter().chain(skip) {
        if !STEPS.iter().any(|step| step.name == name) {
            bail!("there is no step `{name}`; `cargo xtask ci --list` prints them");
        }
    }
    let is_due = |step: &Step| *full || step.when == When::Always;
    let wanted = |step: &Step| {
        if only.is_empty() { is_due(step) } else { only.iter().any(|name| name == step.name) }
    };
    let skipped = |step: &Step| skip.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(|step| wanted(step) && !skipped(step)).collect())
}

fn summarize(reports: &[Report], planned: usize) -> bool {
    crate::output::say!("\n==> summary");
    for report in reports {
        crate::output::say!("{}", summary_line(report));
    }
    let total: Duration = reports.iter().map(|report| report.took).sum();
    let failed = reports.iter().filter(|report| report.result.is_err()).count();
    let passed = reports.iter().filter(|report| matches!(report.result, Ok(Outcome::Passed))).count();
    crate::output::say!("{:<13} {:<7} {:>7.1} s", "all", "", total.as_secs_f32());
    crate::output::say!("steps: {passed} passed, {failed} failed, {} skipped", planned - passed - failed);
    failed == 0
}

fn summary_line(report: &Report) -> String {
    let (word, remark) = match &report.result {
        Ok(Outcome::Passed) => ("passed", String::new()),
        Ok(Outcome::Skipped(why)) => ("skipped", format!("  {why}")),
        Err(error) => ("FAILED", format!("  {}", first_words(&error.to_string()))),
    };
    format!("{:<13} {word:<7} {:>7.1} s{remark}", report.step.name, report.took.as_secs_f32())
}

/// The beginning of a text, as much as fits into a line of the summary.
fn first_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(100).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str], full: bool) -> Vec<&'static str> {
        let owned = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let options = Options { only: owned(only), skip: owned(skip), full, ..Options::default() };
        choose(&options).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn without_a_choice_every_step_runs_but_the_long_ones() {
        let (quick, full) = (names(&[], &[], false), names(&[], &[], true));
        assert_eq!(full.len(), STEPS.len());
        let left_out: Vec<_> = full.into_iter().filter(|name| !quick.contains(name)).collect();
        assert_eq!(left_out, ["domains", "renamed"]);
    }

    #[test]
    fn only_and_skip_choose() {
        assert_eq!(names(&["test", "fmt"], &["test"], false), ["fmt"]);
        assert_eq!(names(&["domains"], &[], false), ["domains"]);
        assert!(!names(&[], &["fmt"], true).contains(&"fmt"));
    }

    #[test]
    fn a_misspelt_step_is_refused() {
        assert!(choose(&Options { only: vec!["tset".to_owned()], ..Options::default() }).is_err());
    }
}
