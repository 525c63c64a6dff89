//! The generator, tried on a copy of the workspace: what it makes works unedited, on both engines, and what it takes away leaves no
//! trace.
//!
//! [`mod@sample`] is one domain, each time, and with it [`mod@recipe`], the pages that make some by hand; [`mod@full`] is every kind of domain and every check, when it is asked for. The domains of both stand in
//! `xtask/generator`, a command line each; where the workspace has one of that name, it gets another.

pub(super) mod copy;
mod full;
mod recipe;
mod sample;

use anyhow::Result;

use super::Outcome;
use crate::domain::rules::UPLOADS;
use crate::workspace::Workspace;

/// What somebody sees who makes a domain.
pub(super) fn sample(workspace: &Workspace) -> Result<Outcome> {
    sample::run(workspace)
}

/// All that the generator can make.
pub(super) fn full(workspace: &Workspace) -> Result<Outcome> {
    full::run(workspace)
}

/// The domains of a list, without the fields that this workspace can't have.
fn domains(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    let has_uploads = has_uploads(workspace);
    let possible = |line: String| if has_uploads { line } else { without_files(&line) };
    Ok(lines(workspace, file)?.into_iter().map(possible).collect())
}

/// Whether fields can be files.
fn has_uploads(workspace: &Workspace) -> bool {
    workspace.root.join("crates").join(UPLOADS).is_dir()
}

/// A command line without the fields that are files.
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
