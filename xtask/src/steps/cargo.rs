//! The checks of cargo and its own tools.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Outcome, coverage};
use crate::process::Invocation;
use crate::rustfmt;
use crate::workspace::Workspace;

fn cargo(workspace: &Workspace, args: &str) -> Invocation {
    Invocation::new("cargo").args(args.split_whitespace()).current_dir(&workspace.root)
}

/// The test command of the README: on SQLite, without other services.
pub(super) fn test(workspace: &Workspace) -> Result<Outcome> {
    coverage::tests(workspace)?.run()?;
    Ok(Outcome::Passed)
}

pub(super) fn fmt(workspace: &Workspace) -> Result<Outcome> {
    let sources: Vec<PathBuf> =
        workspace.files()?.into_iter().filter(|path| rustfmt::is_source(path)).collect();
    rustfmt::run(workspace, &sources, &["--check"])
        .context("run `cargo fmt`, and `rustfmt --edition 2024 FILE` where a macro declares the module")?;
    Ok(Outcome::Passed)
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "clippy --workspace --all-targets --locked -- -D warnings").run()?;
    Ok(Outcome::Passed)
}

pub(super) fn docs(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Outcome::Passed)
}
