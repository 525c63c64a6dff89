//! The tools that come from `PyPI`, in a virtual environment of their own below the target folder.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Invocation;
use crate::workspace::Workspace;

/// What is installed, with versions.
const REQUIREMENTS: &str = "xtask/requirements.txt";

/// The folder of the environment's programs; made anew when the requirements have changed.
pub(crate) fn programs(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.kept("python")?;
    let wanted = workspace.read(REQUIREMENTS)?;
    let marker = folder.join("installed.txt");
    let programs = folder.join("bin");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    Invocation::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).run()?;
    Invocation::new(programs.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(workspace.root.join(REQUIREMENTS))
        .run()?;
    fs::write(&marker, wanted).context("can't note what was installed")?;
    Ok(programs)
}
