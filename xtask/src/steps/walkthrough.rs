//! Runs the commands of the walkthrough in the README against the server that `cargo run` starts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Outcome;
use crate::markdown;
use crate::process::Invocation;
use crate::server::{self, DEFAULT_PORT, Server};
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let script = script(&workspace.read("README.md")?)?;
    server::expect_default_ports_free()?;
    let binary = server::build(workspace)?;
    let folder = workspace.scratch("walkthrough")?;
    let copy = folder.join("ashlar");
    copy_files(workspace, &copy)?;
    let file = folder.join("walkthrough.sh");
    fs::write(&file, script).context("can't write the script")?;

    let manifest = workspace.root.join("Cargo.toml");
    let process = Invocation::new("cargo")
        .args(["run", "--manifest-path"])
        .arg(&manifest)
        .without_configuration()
        .env("ASHLAR_DATA_DIR", copy.join("data"))
        .current_dir(&copy)
        .start(&folder.join("server.log"))?;
    let server = Server::ready(process, DEFAULT_PORT, binary, folder)?;
    crate::output::say!("the server printed:\n{}", server.tail());
    let walked = Invocation::new("bash")
        .args(["-euo", "pipefail", "-x"])
        .arg(&file)
        .without_configuration()
        .env("ASHLAR_DATA_DIR", copy.join("data"))
        .env("WORKSPACE_MANIFEST", &manifest)
        .current_dir(&copy)
        .run();
    if let Err(error) = walked {
        bail!(
            "the walkthrough in the README stopped at the last command shown above: {error}\n{}",
            server.tail()
        );
    }
    server.stop()?;
    Ok(Outcome::Passed)
}

/// The marked blocks, as one script.
fn script(readme: &str) -> Result<String> {
    // A `cargo` in the walkthrough runs in this workspace, because the copy in which the script runs is not built.
    let mut script =
        "cargo() { command cargo \"$1\" --manifest-path \"$WORKSPACE_MANIFEST\" \"${@:2}\"; }\n".to_owned();
    let marked = |block: &markdown::Block| block.info.split_whitespace().any(|word| word == "walkthrough");
    let blocks: Vec<_> = markdown::blocks(readme).into_iter().filter(marked).collect();
    if blocks.is_empty() {
        bail!("README.md has no block marked ```sh walkthrough");
    }
    for block in blocks {
        write!(script, "\n# README.md:{}\n{}", block.line, block.text).context("can't join the blocks")?;
    }
    Ok(script)
}

/// A copy of the repository, in which the commands can use its files without writing into the repository.
fn copy_files(workspace: &Workspace, to: &Path) -> Result<()> {
    for file in workspace.files()? {
        let target = to.join(&file);
        let folder = target.parent().unwrap_or(to);
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        fs::copy(workspace.root.join(&file), &target)
            .with_context(|| format!("can't copy {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_blocks_become_one_script_in_order() {
        let readme =
            "```sh\ncargo run\n```\n```sh walkthrough\necho 1\n```\ntext\n```sh walkthrough\necho 2\n```\n";
        let script = script(readme).unwrap();
        assert!(!script.contains("cargo run"));
        let (first, second) = (
            script.find("# README.md:4\necho 1\n").unwrap(),
            script.find("# README.md:8\necho 2\n").unwrap(),
        );
        assert!(first < second);
    }

    #[test]
    fn a_readme_without_a_walkthrough_is_an_error() {
        assert!(script("```sh\ncargo run\n```\n").is_err());
    }
}
