//! What cargo and its own tools check.

use std::path::Path;

use anyhow::{Context, Result};

use super::Outcome;
use crate::process::Invocation;
use crate::workspace::Workspace;

fn cargo(workspace: &Workspace, args: &str) -> Invocation {
    Invocation::new("cargo").args(args.split_whitespace()).current_dir(&workspace.root)
}

/// The README's test command, as it stands there: SQLite, no service.
pub(super) fn test(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "test --workspace --locked").without_configuration().run()?;
    Ok(Outcome::Passed)
}

/// Every source file by its name: `cargo fmt` follows the lines `mod …;`, and knows nothing of a module that a macro declares.
pub(super) fn fmt(workspace: &Workspace) -> Result<Outcome> {
    let files = workspace.files()?;
    let sources = files.iter().filter(|path| is_source(path)).map(|path| path.to_string_lossy());
    let names = sources.collect::<Vec<_>>().join("\0");
    // As many files to one rustfmt as a command line holds.
    Invocation::new("xargs")
        .args(["-0", "rustfmt", "--check", "--edition", "2024"])
        .input(names)
        .current_dir(&workspace.root)
        .run()
        .context("run `cargo fmt`, and `rustfmt --edition 2024 FILE` where a macro declares the module")?;
    Ok(Outcome::Passed)
}

/// True for Rust. What the generator fills in is none yet.
fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") && !path.starts_with("xtask/templates")
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "clippy --workspace --all-targets --locked -- -D warnings").run()?;
    Ok(Outcome::Passed)
}

pub(super) fn docs(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, "doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Outcome::Passed)
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
