//! Runs rustfmt file by file: `cargo fmt` follows the lines `mod …;`, and does not find modules that a macro declares.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::Invocation;
use crate::workspace::Workspace;

/// Runs rustfmt on these files, as many at once as a command line holds.
pub(crate) fn run(workspace: &Workspace, sources: &[PathBuf], flags: &[&str]) -> Result<()> {
    let names: Vec<_> = sources.iter().map(|path| path.to_string_lossy()).collect();
    Invocation::new("xargs")
        .args(["-0", "rustfmt", "--edition", "2024"])
        .args(flags)
        .input(names.join("\0"))
        .current_dir(&workspace.root)
        .run()
}

/// True for Rust files, except templates of the generator.
pub(crate) fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") && !path.starts_with("xtask/templates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_no_source() {
        assert!(is_source(Path::new("migration/src/m20261121_000001_create_outbox.rs")));
        assert!(!is_source(Path::new("xtask/templates/crate/src/service.rs")));
        assert!(!is_source(Path::new("rustfmt.toml")));
    }
}
