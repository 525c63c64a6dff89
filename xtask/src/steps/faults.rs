//! Measures the responses of the built server during faults, with a PostgreSQL of its own, and writes them as a table.

use std::fs;

use anyhow::{Context, Result};

use super::{Outcome, postgres};
use crate::process::Invocation;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/faults.md";

/// The beginning of the table. The text before it is written by hand.
const TABLE: &str = "| situation |";

/// Produces the situations and writes the table. Returns `false` if this machine has no PostgreSQL.
pub(crate) fn write(workspace: &Workspace) -> Result<bool> {
    let outcome = postgres::with_server(workspace, |url| {
        let table = Invocation::new("cargo")
            .args(["run", "--quiet", "--locked", "--package", "tests", "--example", "faults"])
            .without_configuration()
            .env("TEST_DATABASE_URL", url)
            .current_dir(&workspace.root)
            .capture()?;
        let text = workspace.read(DOCUMENT)?;
        let (text, _) = text.split_once(TABLE).with_context(|| format!("{DOCUMENT} has no table"))?;
        fs::write(workspace.root.join(DOCUMENT), format!("{text}{table}"))
            .context("can't write the document")?;
        crate::output::text(&table);
        Ok(Outcome::Passed)
    })?;
    if let Outcome::Skipped(why) = &outcome {
        crate::output::say!("{why}");
    }
    Ok(matches!(outcome, Outcome::Passed))
}
