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
use crate::workspace::Workspace;

/// What somebody sees who makes a domain.
pub(super) fn sample(workspace: &Workspace) -> Result<Outcome> {
    sample::run(workspace)
}

/// All that the generator can make.
pub(super) fn full(workspace: &Workspace) -> Result<Outcome> {
    full::run(workspace)
}

/// The lines of a list, without comments.
fn lines(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    let text = workspace.read(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
