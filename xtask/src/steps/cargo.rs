//! What cargo and its own tools check.

use anyhow::Result;

use super::Outcome;
use crate::process::Invocation;
use crate::workspace::Workspace;

fn cargo(workspace: &Workspace, args: &str) -> Invocation {
    Invocation::new("cargo").args(args.split_whitespace()).current_dir(&workspace.root)
}

/// The README's test command, as it stands there: SQLite, no service.
pub(super) fn test(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "test --workspace --locked").without_configuration().run()?;
    Ok(Outcome::Passed)
}

pub(super) fn fmt(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "fmt --all --check").run()?;
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
