//! The changes of a command to the files of the workspace: computed first, printed, then applied completely or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The files that will be created, changed and deleted. Reads return the planned texts.
///
/// Lines end in `\n` here, independent of the checkout; written files keep their line endings.
#[derive(Debug)]
pub(crate) struct Plan {
    root: PathBuf,
    changes: BTreeMap<PathBuf, Change>,
    /// Documents that the server prints and that are written again after the changes.
    documents: Vec<&'static str>,
    /// Sentences about what may not be meant, which are printed after the changes.
    warnings: Vec<String>,
}

/// The current and the planned contents of a file; `None` if there is no file. A deleted file need not be text.
#[derive(Debug)]
struct Change {
    before: Option<Vec<u8>>,
    after: Option<String>,
}

impl Plan {
    /// An empty plan for the workspace in this folder.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), changes: BTreeMap::new(), documents: Vec::new(), warnings: Vec::new() }
    }

    /// Adds a document that the server prints and that is written again after the changes.
    pub(crate) fn rewrites(&mut self, document: &'static str) {
        self.documents.push(document);
    }

    /// Adds sentences that are printed after the changes.
    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    /// The documents that are written again after the changes.
    pub(crate) fn documents(&self) -> &[&'static str] {
        &self.documents
    }

    /// The planned text of the file, otherwise its current text; `None` if there is no such file.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<Option<String>> {
        let path = path.as_ref();
        match self.changes.get(path) {
            Some(change) => Ok(change.after.as_deref().map(lines)),
            None => on_disk(&self.root.join(path))?
                .map(|bytes| {
                    let text = String::from_utf8(bytes);
                    text.map(|text| lines(&text)).with_context(|| format!("{} is not text", path.display()))
                })
                .transpose(),
        }
    }

    /// The text of a file that must exist.
    pub(crate) fn expect(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = path.as_ref();
        self.read(path)?.with_context(|| format!("there is no {}", path.display()))
    }

    /// Plans this text for the file, whether it exists or not.
    pub(crate) fn write(&mut self, path: impl AsRef<Path>, text: impl Into<String>) -> Result<()> {
        self.set(path.as_ref(), Some(text.into()))
    }

    /// Plans a new file with this text.
    pub(crate) fn create(&mut self, path: impl AsRef<Path>, text: impl Into<String>) -> Result<()> {
        let path = path.as_ref();
        if self.read(path)?.is_some() {
            bail!("{} already exists, and no file is overwritten: move it away", path.display());
        }
        self.set(path, Some(text.into()))
    }

    /// Plans an edit of an existing file by `change`.
    pub(crate) fn edit(
        &mut self,
        path: impl AsRef<Path>,
        change: impl FnOnce(&str) -> Result<String>,
    ) -> Result<()> {
        let path = path.as_ref();
        let edited = change(&self.expect(path)?).with_context(|| format!("in {}", path.display()))?;
        self.write(path, edited)
    }

    /// The existing files whose text will change.
    pub(crate) fn edited(&self) -> impl Iterator<Item = &Path> {
        let edited =
            self.changes.iter().filter(|(_, change)| change.before.is_some() && change.after.is_some());
        edited.map(|(path, _)| path.as_path())
    }

    /// Plans the deletion of the file.
    pub(crate) fn delete(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.set(path.as_ref(), None)
    }

    fn set(&mut self, path: &Path, after: Option<String>) -> Result<()> {
        let before = match self.changes.remove(path) {
            Some(change) => change.before,
            None => on_disk(&self.root.join(path))?,
        };
        let after =
            after.map(|text| if ends_in_crlf(before.as_deref()) { text.replace('\n', "\r\n") } else { text });
        // A file with its current contents is not a change.
        if before.as_deref() != after.as_deref().map(str::as_bytes) {
            self.changes.insert(path.to_owned(), Change { before, after });
        }
        Ok(())
    }

    /// Applies the plan. On an error, all changes are reverted.
    pub(crate) fn apply(&self) -> Result<()> {
        self.expect_untouched()?;
        let mut done = Done::default();
        let outcome = self.stage(&mut done).and_then(|staged| self.put(&staged, &mut done));
        match outcome {
            Ok(()) => {
                for (_, aside) in &done.aside {
                    fs::remove_file(aside).with_context(|| format!("can't remove {}", aside.display()))?;
                }
                self.remove_empty_folders()
            }
            Err(error) => {
                done.undo().with_context(|| format!("{error:#}; and then, while undoing it"))?;
                Err(error.context("nothing was changed"))
            }
        }
    }

    /// Fails if a file was saved since the plan was computed.
    fn expect_untouched(&self) -> Result<()> {
        for (path, change) in &self.changes {
            let full = self.root.join(path);
            if on_disk(&full)? != change.before {
                bail!("{} was changed in the meantime: try again", path.display());
            }
        }
        Ok(())
    }

    /// Writes all texts into temporary files first, so that a full disk is noticed before a file is replaced.
    fn stage(&self, done: &mut Done) -> Result<BTreeMap<&Path, PathBuf>> {
        let mut staged = BTreeMap::new();
        for (number, (path, change)) in self.changes.iter().enumerate() {
            let Some(text) = &change.after else { continue };
            let full = self.root.join(path);
            let folder = full.parent().unwrap_or(&self.root);
            make_folders(folder, done)?;
            let temporary = folder.join(format!(".xtask-{}-{number}.tmp", std::process::id()));
            done.temporary.push(temporary.clone());
            fs::write(&temporary, text).with_context(|| format!("can't write {}", temporary.display()))?;
            if let Ok(known) = fs::metadata(&full) {
                fs::set_permissions(&temporary, known.permissions()).context("can't keep the file's mode")?;
            }
            staged.insert(path.as_path(), temporary);
        }
        Ok(staged)
    }

    fn put(&self, staged: &BTreeMap<&Path, PathBuf>, done: &mut Done) -> Result<()> {
        for (number, (path, change)) in self.changes.iter().enumerate() {
            let full = self.root.join(path);
            let failed = || format!("can't write or delete {}", full.display());
            if change.before.is_some() {
                // The file is renamed, so that restoring it needs no space and preserves its mode.
                let aside = full.with_file_name(format!(".xtask-{}-{number}.bak", std::process::id()));
                fs::rename(&full, &aside).with_context(failed)?;
                done.aside.push((full.clone(), aside));
            }
            if let Some(temporary) = staged.get(path.as_path()) {
                fs::rename(temporary, &full).with_context(failed)?;
                done.put.push(full.clone());
            }
        }
        Ok(())
    }

    /// Removes folders that become empty, because git does not track them.
    fn remove_empty_folders(&self) -> Result<()> {
        let deleted = self.changes.iter().filter(|(_, change)| change.after.is_none());
        let folders: BTreeSet<&Path> = deleted.flat_map(|(path, _)| path.ancestors().skip(1)).collect();
        // The deepest come last in the order of paths.
        for folder in folders.iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
            let full = self.root.join(folder);
            let is_empty = fs::read_dir(&full).is_ok_and(|mut entries| entries.next().is_none());
            if is_empty {
                fs::remove_dir(&full).with_context(|| format!("can't remove {}", full.display()))?;
            }
        }
        Ok(())
    }
}

/// The applied changes, to revert them.
#[derive(Default)]
struct Done {
    folders: Vec<PathBuf>,
    temporary: Vec<PathBuf>,
    put: Vec<PathBuf>,
    /// Renamed files, with their temporary paths.
    aside: Vec<(PathBuf, PathBuf)>,
}

impl Done {
    /// Reverts the changes, and returns the errors of those that could not be reverted.
    fn undo(&self) -> Result<()> {
        let mut failures = Vec::new();
        let mut attempt = |outcome: std::io::Result<()>, path: &Path| {
            failures.extend(outcome.err().map(|error| format!("{}: {error}", path.display())));
        };
        for path in &self.put {
            attempt(fs::remove_file(path), path);
        }
        for (path, aside) in &self.aside {
            attempt(fs::rename(aside, path), path);
        }
        for path in self.temporary.iter().filter(|path| path.exists()) {
            attempt(fs::remove_file(path), path);
        }
        for folder in self.folders.iter().rev() {
            attempt(fs::remove_dir(folder), folder);
        }
        if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
    }
}

/// The text with uniform line endings.
pub(crate) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Whether a file has the line endings of Windows, according to its first line.
fn ends_in_crlf(bytes: Option<&[u8]>) -> bool {
    let first = bytes.and_then(|bytes| bytes.split(|byte| *byte == b'\n').next());
    first.is_some_and(|line| line.last() == Some(&b'\r'))
}

fn make_folders(folder: &Path, done: &mut Done) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder).with_context(|| format!("can't make {}", folder.display()))?;
        done.folders.push(folder.to_owned());
    }
    Ok(())
}

fn on_disk(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        // There is no file whose name is too long.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// One line for each file: the kind of change, and the number of lines.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, change) in &self.changes {
            writeln!(f, "{}", line(&path.display().to_string(), change))?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "\nwarning: {warning}"))
    }
}

fn line(path: &str, change: &Change) -> String {
    let before = String::from_utf8_lossy(change.before.as_deref().unwrap_or_default());
    match (&change.before, &change.after) {
        (None, Some(text)) => format!("create  {path}  ({})", counted(text)),
        (_, None) => format!("delete  {path}  ({})", counted(&before)),
        (Some(_), Some(after)) => {
            let (added, removed) = differing(&before, after);
            format!("change  {path}  (+{added} -{removed})")
        }
    }
}

fn counted(text: &str) -> String {
    match text.lines().count() {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    }
}

/// The numbers of added and removed lines.
fn differing(before: &str, after: &str) -> (usize, usize) {
    let patch = diffy::create_patch(before, after);
    let lines = || patch.hunks().iter().flat_map(diffy::Hunk::lines);
    let added = lines().filter(|line| matches!(line, diffy::Line::Insert(_))).count();
    let removed = lines().filter(|line| matches!(line, diffy::Line::Delete(_))).count();
    (added, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kept.txt"), "one\ntwo\n").unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/old.txt"), "old\n").unwrap();
        folder
    }

    /// Every file with its text, and every folder.
    fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.insert(path.clone(), String::new());
                found.extend(tree(&path));
            } else {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
        found
    }

    #[test]
    fn files_are_created_changed_and_deleted() {
        let folder = workspace();
        let mut plan = Plan::new(folder.path());
        plan.create("x/y/new.txt", "new\n").unwrap();
        plan.write("kept.txt", "one\nthree\nfour\n").unwrap();
        plan.delete("a/b/old.txt").unwrap();
        assert_eq!(
            plan.to_string(),
            "delete  a/b/old.txt  (1 line)\nchange  kept.txt  (+2 -1)\ncreate  x/y/new.txt  (1 line)\n"
        );
        assert_eq!(plan.read("kept.txt").unwrap().unwrap(), "one\nthree\nfour\n");
        assert_eq!(plan.read("a/b/old.txt").unwrap(), None);
        plan.apply().unwrap();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        assert_eq!(read("x/y/new.txt"), "new\n");
        assert_eq!(read("kept.txt"), "one\nthree\nfour\n");
        assert!(!folder.path().join("a").exists(), "folders that became empty are gone");
        assert_eq!(tree(folder.path()).len(), 4);
    }

    #[test]
    fn a_file_keeps_its_line_ends() {
        let folder = workspace();
        let on_disk = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        fs::write(folder.path().join("windows.txt"), "one\r\ntwo\r\n").unwrap();
        let mut plan = Plan::new(folder.path());
        assert_eq!(plan.read("windows.txt").unwrap().unwrap(), "one\ntwo\n");
        plan.write("windows.txt", "one\ntwo\n").unwrap();
        assert_eq!(plan.to_string(), "", "the same lines are no change");
        plan.edit("windows.txt", |text| Ok(text.replace("two", "three"))).unwrap();
        assert_eq!(plan.read("windows.txt").unwrap().unwrap(), "one\nthree\n");
        plan.write("kept.txt", "one\n").unwrap();
        plan.apply().unwrap();
        assert_eq!(
            (on_disk("windows.txt"), on_disk("kept.txt")),
            ("one\r\nthree\r\n".into(), "one\n".into())
        );
    }

    #[test]
    fn an_existing_file_is_not_created_again() {
        let folder = workspace();
        let error = Plan::new(folder.path()).create("kept.txt", "x").unwrap_err();
        assert_eq!(error.to_string(), "kept.txt already exists, and no file is overwritten: move it away");
    }

    #[test]
    fn what_ends_as_it_began_is_no_change() {
        let folder = workspace();
        let mut plan = Plan::new(folder.path());
        plan.write("kept.txt", "else").unwrap();
        plan.write("kept.txt", "one\ntwo\n").unwrap();
        plan.create("new.txt", "x").unwrap();
        plan.delete("new.txt").unwrap();
        assert_eq!(plan.to_string(), "");
    }

    #[test]
    fn an_error_in_the_middle_changes_nothing() {
        let folder = workspace();
        let before = tree(folder.path());
        // The temporary file of this one can be written; only the renaming fails.
        let long = format!("x/{}", "z".repeat(300));
        for failing in [long.as_str(), "kept.txt/below"] {
            let mut plan = Plan::new(folder.path());
            plan.create("b/c/new.txt", "new\n").unwrap();
            plan.write("kept.txt", "changed\n").unwrap();
            plan.delete("a/b/old.txt").unwrap();
            plan.create(failing, "x").unwrap();
            let error = plan.apply().unwrap_err();
            assert_eq!(error.to_string(), "nothing was changed");
            assert_eq!(tree(folder.path()), before, "{failing}");
        }
    }

    #[test]
    fn a_file_that_changed_after_the_plan_stops_it() {
        let folder = workspace();
        let mut plan = Plan::new(folder.path());
        plan.write("kept.txt", "mine\n").unwrap();
        plan.create("new.txt", "new\n").unwrap();
        fs::write(folder.path().join("kept.txt"), "theirs\n").unwrap();
        let error = plan.apply().unwrap_err().to_string();
        assert_eq!(error, "kept.txt was changed in the meantime: try again");
        assert!(!folder.path().join("new.txt").exists());
    }
}
