//! Tests the generator in a copy of the workspace: generated domains work unedited, on both databases, and removing them leaves no
//! trace.
//!
//! [`mod@sample`] tests one kind of domain in each run, together with [`mod@recipe`], the pages that write domains by hand;
//! [`mod@full`] tests every kind of domain with every step. The files in `xtask/generator` list the domains of both, one command line
//! each; a domain gets another name if the workspace already has one of that name.

pub(super) mod copy;
mod full;
mod recipe;
mod sample;

use std::collections::BTreeSet;

use anyhow::Result;

use super::Outcome;
use crate::domain::rules::UPLOADS;
use crate::workspace::Workspace;

/// The sample, which tests the usual commands of a developer.
pub(super) fn sample(workspace: &Workspace) -> Result<Outcome> {
    sample::run(workspace)
}

/// All kinds of domains.
pub(super) fn full(workspace: &Workspace) -> Result<Outcome> {
    full::run(workspace)
}

/// The domains of a list, without the fields that this workspace does not support.
fn domains(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    Ok(lines(workspace, file)?.into_iter().map(|line| possible(workspace, line)).collect())
}

/// A command line without the fields that this workspace does not support.
fn possible(workspace: &Workspace, line: String) -> String {
    if has_uploads(workspace) { line } else { without_files(&line) }
}

/// The jobs that are written into some of the domains.
const JOBS: &str = "xtask/generator/jobs.txt";

/// Writes the jobs, and returns the names of the domains that they are in.
fn write_jobs(workspace: &Workspace, copy: &copy::Copy) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for line in domains(workspace, JOBS)? {
        let line = copy.renamed(&line);
        copy.xtask(&format!("new-job {line}"))?;
        names.extend(line.split_whitespace().next().map(str::to_owned));
    }
    Ok(names)
}

/// Whether the workspace supports fields of the type `upload`.
fn has_uploads(workspace: &Workspace) -> bool {
    workspace.root.join("crates").join(UPLOADS).is_dir()
}

/// A command line without the fields of the type `upload`.
fn without_files(line: &str) -> String {
    let is_file = |word: &&str| word.split(':').nth(1) == Some("upload");
    line.split_whitespace().filter(|word| !is_file(word)).collect::<Vec<_>>().join(" ")
}

/// The lines of a list, without comments.
fn lines(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    let text = workspace.read(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::without_files;

    #[test]
    fn fields_that_are_files_are_left_out() {
        let line =
            "post title:string:1..9 cover:upload extra:upload:optional upload:string author:ref=user:owner";
        assert_eq!(without_files(line), "post title:string:1..9 upload:string author:ref=user:owner");
    }
}
