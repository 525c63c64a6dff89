//! Whether the generator has changed since it was tried.
//!
//! Trying it takes many minutes, and most changes of a product cannot break it. What can is the generator itself and the code of
//! the house that generated code calls. The hash of all that is written down when the step `generator` has passed; while it stays
//! the same, that step has nothing to find out.

use std::path::Path;

use anyhow::{Result, bail};

use super::lists;
use super::manifest::hash;
use crate::workspace::Workspace;

/// Where the hash is kept, for everybody who has the same files.
pub(crate) const PATH: &str = "xtask/generator/PROVED";

const HEAD: &str = "\
# What the generator was when the step `generator` of `cargo xtask ci` last passed: a hash of xtask/ and of the code that generated
# code calls. The step writes it; while it fits, the step is skipped. Delete it to have the generator tried again.
";

/// What generated code calls and is checked by, beside the generator.
const CALLED: [&str; 12] = [
    "xtask/",
    "crates/shared-kernel/src/",
    "crates/http-kit/src/",
    "crates/server/src/context.rs",
    "crates/server/src/routers/mod.rs",
    "migration/src/columns.rs",
    "migration/src/record.rs",
    "migration/src/lib.rs",
    "tests/src/",
    "Cargo.toml",
    // What generated code is held to.
    "clippy.toml",
    "rustfmt.toml",
];

/// The hash of what there is now. Domains come and go without changing it.
///
/// # Errors
///
/// A file cannot be read.
pub(crate) fn now(workspace: &Workspace) -> Result<String> {
    let mut files = workspace.files()?;
    files.sort();
    let mut all = String::new();
    for file in files.iter().filter(|file| matters(file)) {
        let text = without_domains(file, workspace.read(file)?)?;
        let path = file.to_string_lossy();
        all.extend([path.as_ref(), " ", &hash(&text), "\n"]);
    }
    if all.is_empty() {
        bail!("there is nothing here that a generator could be");
    }
    Ok(hash(&all))
}

/// Whether it passed as it is now.
///
/// # Errors
///
/// A file cannot be read.
pub(crate) fn is_proved(workspace: &Workspace) -> Result<bool> {
    let Ok(written) = workspace.read(PATH) else { return Ok(false) };
    let now = now(workspace)?;
    Ok(written.lines().any(|line| line == now))
}

/// The file for what there is now.
///
/// # Errors
///
/// A file cannot be read.
pub(crate) fn page(workspace: &Workspace) -> Result<String> {
    Ok(format!("{HEAD}{}\n", now(workspace)?))
}

fn matters(file: &Path) -> bool {
    let path = file.to_string_lossy().replace('\\', "/");
    path != PATH
        && CALLED.iter().any(|called| path == *called || called.ends_with('/') && path.starts_with(called))
}

/// The text without what each domain adds to it.
fn without_domains(file: &Path, text: String) -> Result<String> {
    match file.to_string_lossy().as_ref() {
        "Cargo.toml" => {
            let lines = text.lines().filter(|line| !line.contains("path = \"crates/"));
            Ok(lines.fold(String::new(), |kept, line| kept + line + "\n"))
        }
        "crates/server/src/routers/mod.rs" => without_list(text, "domains"),
        "migration/src/lib.rs" => without_list(text, "migrations"),
        _ => Ok(text),
    }
}

fn without_list(mut text: String, list: &str) -> Result<String> {
    for name in lists::names(&text, list)?.unwrap_or_default() {
        text = lists::remove(&text, list, &name)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_break_generated_code_matters() {
        for path in ["xtask/src/main.rs", "crates/shared-kernel/src/id.rs", "Cargo.toml", "tests/src/lib.rs"]
        {
            assert!(matters(Path::new(path)), "{path}");
        }
        for path in
            [PATH, "crates/post/src/lib.rs", "crates/post/Cargo.toml", "crates/server/src/routers/post.rs"]
        {
            assert!(!matters(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_domain_more_is_no_change() {
        let same = |path: &str, one: &str, other: &str| {
            let text = |text: &str| without_domains(Path::new(path), text.to_owned()).unwrap();
            assert_eq!(text(one), text(other));
        };
        same(
            "crates/server/src/routers/mod.rs",
            "domains! { auth, user }\n",
            "domains! { auth, post, user }\n",
        );
        same("migration/src/lib.rs", "migrations! {\n    a,\n}\n", "migrations! {\n    a,\n    b,\n}\n");
        same("Cargo.toml", "[a]\nb = \"1\"\n", "[a]\npost = { path = \"crates/post\" }\nb = \"1\"\n");
    }
}
