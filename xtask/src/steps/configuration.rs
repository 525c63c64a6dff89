//! The reference of all settings, which the documentation ends with. A test of the server holds the two against each other.

use std::fs;

use anyhow::{Context as _, Result};

use crate::process::Invocation;
use crate::server;
use crate::workspace::Workspace;

/// Where the reference stands.
pub(crate) const DOCUMENT: &str = "docs/configuration.md";

/// Writes the reference again.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let binary = server::build(workspace)?;
    // An empty folder: no configuration file of a developer's is in the way.
    let folder = workspace.scratch("configuration")?;
    let command = Invocation::new(binary).args(["config", "--reference"]);
    let reference = command.without_configuration().current_dir(&folder).capture()?;
    let text = with_reference(&workspace.read(DOCUMENT)?, &reference)?;
    fs::write(workspace.root.join(DOCUMENT), text).context("can't write the reference")?;
    crate::output::say!("wrote {DOCUMENT}");
    Ok(())
}

/// The document with this reference in place of everything from its first line on.
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
