//! Generates the reference of all settings at the end of docs/configuration.md. A test of the server compares the two.

use std::fs;

use anyhow::{Context as _, Result};

use crate::process::Invocation;
use crate::server;
use crate::workspace::Workspace;

/// Where the reference stands.
pub(crate) const DOCUMENT: &str = "docs/configuration.md";

/// Generates the reference again.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let binary = server::build(workspace)?;
    // In an empty folder, without the configuration file of a developer.
    let folder = workspace.scratch("configuration")?;
    let command = Invocation::new(binary).args(["config", "--reference"]);
    let reference = command.without_configuration().current_dir(&folder).capture()?;
    let text = with_reference(&workspace.read(DOCUMENT)?, &reference)?;
    fs::write(workspace.root.join(DOCUMENT), text).context("can't write the reference")?;
    crate::output::say!("wrote {DOCUMENT}");
    Ok(())
}

/// The document with everything from the first line of the reference on replaced by this reference.
fn with_reference(document: &str, reference: &str) -> Result<String> {
    let heading = reference.lines().next().context("`ashlar config --reference` printed nothing")?;
    let start = document
        .find(&format!("\n{heading}\n"))
        .with_context(|| format!("{DOCUMENT} has no line `{heading}`, which the reference starts with"))?;
    Ok(format!("{}\n{reference}", &document[..start]))
}

#[cfg(test)]
mod tests {
    use super::with_reference;

    #[test]
    fn the_end_of_the_document_is_replaced() {
        let document = "# Settings\n\nSee ## All.\n\n## All\n\nold\n\n## More\n";
        assert_eq!(
            with_reference(document, "## All\n\nnew\n").unwrap(),
            "# Settings\n\nSee ## All.\n\n## All\n\nnew\n"
        );
    }

    #[test]
    fn a_document_without_the_heading_is_left_alone() {
        assert!(with_reference("# Settings\n", "## All\n").is_err());
        assert!(with_reference("## All\n", "").is_err());
    }
}
