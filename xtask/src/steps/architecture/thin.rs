//! How much the binary crate may hold besides its routers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The crate of the binary.
const BINARY: &str = "crates/server/src";

/// The folder in it that grows with the domains.
const ROUTERS: &str = "routers";

/// Lines of `.rs` files outside that folder: the product as a value, and room for settings of its own.
const MOST: usize = 600;

/// One sentence if the binary crate holds more than the choice of its parts.
pub(super) fn violation(root: &Path) -> Result<Option<String>> {
    let lines = lines_outside_routers(&root.join(BINARY))?;
    Ok((lines > MOST).then(|| {
        format!(
            "{BINARY} has {lines} lines outside {ROUTERS}/, {MOST} at most are for saying what the product is made of: move what every product has the same to crates/app-kit, settings that every product has to crates/app-config, and what belongs to one domain to its crate or its router."
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
        write(root, "lib.rs", MOST - 10);
        write(root, "settings/mail.rs", 10);
        write(root, "routers/user.rs", MOST);
        write(root, "routers/auth/mod.rs", MOST);
        write(root, "notes.md", MOST);
        assert_eq!(violation(root).unwrap(), None);
        write(root, "settings/mail.rs", 11);
        let told = violation(root).unwrap().unwrap();
        assert!(told.starts_with("crates/server/src has 601 lines outside routers/"), "{told}");
    }

    #[test]
    fn a_crate_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(violation(folder.path()).is_err());
    }
}
