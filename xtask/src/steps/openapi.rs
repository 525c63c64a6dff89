//! Compares the committed OpenAPI document with the one generated from the code.

use std::fs;

use anyhow::{Context, Result, bail};

use super::Outcome;
use crate::process::Invocation;
use crate::python;
use crate::server;
use crate::workspace::Workspace;

/// Where the document stands.
pub(crate) const DOCUMENT: &str = "docs/openapi.json";
const CAN_BE_DONE: &str = "xtask/contract/document.py";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let generated = generate(workspace)?;
    let fresh = workspace.kept("openapi")?.join("openapi.json");
    fs::write(&fresh, &generated).context("can't write the generated document")?;
    if workspace.read(DOCUMENT).unwrap_or_default() != generated {
        let shown = Invocation::new("diff")
            .args(["--new-file", "--unified=2"])
            .args([workspace.root.join(DOCUMENT), fresh])
            .run();
        drop(shown);
        bail!(
            "{DOCUMENT} differs from the code: run `cargo xtask openapi`, review the difference and commit it"
        );
    }
    let programs = python::programs(workspace)?;
    let document = workspace.root.join(DOCUMENT);
    Invocation::new(programs.join("openapi-spec-validator")).arg(&document).run()?;
    Invocation::new(programs.join("python")).arg(workspace.root.join(CAN_BE_DONE)).arg(&document).run()?;
    Ok(Outcome::Passed)
}

/// Generates the document again.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    fs::write(workspace.root.join(DOCUMENT), generate(workspace)?).context("can't write the document")?;
    crate::output::say!("wrote {DOCUMENT}");
    Ok(())
}

/// The output of `ashlar openapi --pretty`, with a line break at its end: a change of the document is then a few lines in a
/// diff, and two changes of different operations can be merged.
fn generate(workspace: &Workspace) -> Result<String> {
    let binary = server::build(workspace)?;
    // In an empty folder, without the configuration file or the data of a developer.
    let folder = workspace.scratch("openapi")?;
    let command = Invocation::new(binary)
        .args(["openapi", "--pretty"])
        .without_configuration()
        .env("ASHLAR_DATA_DIR", folder.join("data"))
        .current_dir(&folder);
    crate::output::say!("$ {}", command.shown());
    let text = command.capture()?;
    serde_json::from_str::<serde_json::Value>(&text).context("`ashlar openapi` printed no JSON")?;
    Ok(format!("{}\n", text.trim_end()))
}
