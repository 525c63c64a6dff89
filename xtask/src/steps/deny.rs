//! cargo-deny, if it is installed. The step `architecture` checks its most important rules in any case.

use anyhow::Result;

use super::{Outcome, missing};
use crate::process::{Invocation, on_path};
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    if !on_path("cargo-deny") {
        return missing("cargo-deny is not installed");
    }
    Invocation::new("cargo")
        .args(["deny", "--locked", "check", "bans", "licenses", "sources"])
        .current_dir(&workspace.root)
        .run()?;
    Ok(Outcome::Passed)
}
