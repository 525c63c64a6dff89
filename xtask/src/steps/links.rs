//! Checks the links in the documents to files and to headings in them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use super::Outcome;
use crate::markdown;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    crate::output::say!("$ the relative links of README.md, docs/**/*.md and every other document");
    let files: BTreeSet<PathBuf> = workspace.files()?.into_iter().collect();
    if !files.contains(Path::new("README.md")) {
        bail!("there is no README.md");
    }
    let is_document = |path: &&PathBuf| path.extension().is_some_and(|end| end == "md");
    let mut broken = Vec::new();
    let mut count = 0;
    for document in files.iter().filter(is_document) {
        for (line, target) in markdown::links(&workspace.read(document)?) {
            count += 1;
            if let Some(why) = why_broken(workspace, &files, document, &target)? {
                broken.push(format!("{}:{line}: {target}: {why}", document.display()));
            }
        }
    }
    for sentence in &broken {
        crate::output::say!("- {sentence}");
    }
    match broken.first() {
        Some(first) => bail!("{} broken link(s): {first}", broken.len()),
        None => crate::output::say!("{count} links"),
    }
    Ok(Outcome::Passed)
}

/// The error of a link; `None` if its target exists, or is not in the repository.
fn why_broken(
    workspace: &Workspace,
    files: &BTreeSet<PathBuf>,
    document: &Path,
    target: &str,
) -> Result<Option<String>> {
    if has_scheme(target) {
        return Ok(None);
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() { Some(document.to_owned()) } else { resolve(document, path) };
    let Some(file) = file else {
        return Ok(Some("it leads outside of the repository".to_owned()));
    };
    if !files.contains(&file) {
        let folder = files.iter().any(|known| known.starts_with(&file));
        return Ok((!folder).then(|| "there is no such file".to_owned()));
    }
    match anchor {
        Some(anchor) if file.extension().is_some_and(|end| end == "md") => {
            let known = markdown::anchors(&workspace.read(&file)?).iter().any(|known| known == anchor);
            Ok((!known).then(|| "the file has no such heading".to_owned()))
        }
        _ => Ok(None),
    }
}

fn has_scheme(target: &str) -> bool {
    let before = target.split(['/', '#', '?']).next().unwrap_or_default();
    before.contains(':') || target.starts_with("//")
}

/// The target file of a link, relative to the root; `None` if it is outside of the repository.
fn resolve(document: &Path, link: &str) -> Option<PathBuf> {
    let start = if link.starts_with('/') { Path::new("") } else { document.parent()? };
    let mut resolved = start.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir if !resolved.pop() => return None,
            Component::Normal(name) => resolved.push(name),
            _ => {}
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_the_document() {
        let from = |link| resolve(Path::new("docs/adr/0001.md"), link);
        assert_eq!(from("../api.md"), Some(PathBuf::from("docs/api.md")));
        assert_eq!(from("./0002.md"), Some(PathBuf::from("docs/adr/0002.md")));
        assert_eq!(from("/README.md"), Some(PathBuf::from("README.md")));
        assert_eq!(from("../../../x"), None);
    }

    #[test]
    fn addresses_are_left_alone() {
        assert!(has_scheme("https://example.org/a"));
        assert!(has_scheme("mailto:a@example.org"));
        assert!(!has_scheme("docs/a.md#b:c"));
    }
}
