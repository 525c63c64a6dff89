//! The tools that come from npm, installed beside the `package.json` that asks for them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process::{Invocation, on_path};

/// The oldest version of Node.js on which all tools run.
const OLDEST: [u32; 2] = [20, 19];

/// The reason why tools of npm can't be run here, if any.
pub(crate) fn missing() -> Result<Option<String>> {
    if !on_path("npm") {
        return Ok(Some("npm is not installed".to_owned()));
    }
    let version = Invocation::new("node").args(["--print", "process.versions.node"]).capture()?;
    let [major, minor] = OLDEST;
    Ok((!is_enough(&version)).then(|| format!("node is {}, older than {major}.{minor}", version.trim())))
}

fn is_enough(version: &str) -> bool {
    let mut parts = version.trim().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()] >= OLDEST
}

/// Installs the packages of the lock file in `folder`, unless it has not changed since the last time.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let wanted = fs::read_to_string(folder.join("package-lock.json")).context("there is no lock file")?;
    let marker = folder.join("node_modules/installed.json");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    Invocation::new("npm").args(npm).current_dir(folder).run()?;
    fs::write(&marker, wanted).context("can't record the installed versions")
}

#[cfg(test)]
mod tests {
    use super::is_enough;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(["20.19.0", "20.20.2\n", "22.0.1", "100.1.0"].into_iter().all(is_enough));
        assert!(["18.20.4", "20.9.0", "9.30.0", ""].into_iter().all(|version| !is_enough(version)));
    }
}
