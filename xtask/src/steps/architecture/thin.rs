//! The number of lines that the crate of the binary may have besides its routers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The crate of the binary.
const BINARY: &str = "crates/server/src";

/// The folder of the routers, which grows with the number of domains.
const ROUTERS: &str = "routers";

/// Lines of `.rs` files outside that folder: the product as a value, and module for settings of its own.
const MAX_LINES: usize = 600;

/// Returns one sentence if the crate of the binary has more lines than that.
pub(super) fn violation(root: &Path) -> Result<Option<String>> {
    let lines = lines_outside_routers(&root.join(BINARY))?;
    Ok((lines > MAX_LINES).then(|| {
        format!(
            "{BINARY} has {lines} lines outside {ROUTERS}/, but only {MAX_LINES} are allowed, which is enough to list the parts of the product: move code that is the same in every product to crates/app-kit, settings that every product has to crates/app-config, and code of one domain to its crate or its router."
        )
    }))
}

fn lines_outside_routers(source: &Path) -> Result<usize> {
    let mut lines = 0;
    let entries = fs::read_dir(source).with_context(|| format!("can't read {}", source.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != ROUTERS) {
                lines += lines_outside_routers(&path)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
            lines += text.lines().count();
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, lines: usize) {
        let path = root.join(BINARY).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "//\n".repeat(lines)).unwrap();
    }

    #[test]
    fn what_is_outside_the_routers_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "lib.rs", MAX_LINES - 10);
        write(root, "settings/mail.rs", 10);
        write(root, "routers/user.rs", MAX_LINES);
        write(root, "routers/auth/mod.rs", MAX_LINES);
        write(root, "notes.md", MAX_LINES);
        assert_eq!(violation(root).unwrap(), None);
        write(root, "settings/mail.rs", 11);
        let sentence = violation(root).unwrap().unwrap();
        assert!(sentence.starts_with("crates/server/src has 601 lines outside routers/"), "{sentence}");
    }

    #[test]
    fn a_crate_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(violation(folder.path()).is_err());
    }
}
