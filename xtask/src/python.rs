//! The tools that come from `PyPI`, in virtual environments below the target folder.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Invocation;
use crate::workspace::Workspace;

/// The folder of the programs that several steps call.
pub(crate) fn programs(workspace: &Workspace) -> Result<PathBuf> {
    environment(workspace, "python", "xtask/requirements.txt")
}

/// The folder of the programs of the environment `name`; created again if the requirements have changed.
pub(crate) fn environment(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = workspace.kept(name)?;
    let wanted = workspace.read(requirements)?;
    let marker = folder.join("installed.txt");
    let programs = folder.join("bin");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    Invocation::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).run()?;
    Invocation::new(programs.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(workspace.root.join(requirements))
        .run()?;
    fs::write(&marker, wanted).context("can't record the installed versions")?;
    Ok(programs)
}
