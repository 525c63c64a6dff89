//! `cargo xtask rename`: renames the product everywhere except in values whose change would lose data.
//!
//! The root `Cargo.toml` records the current name, so that the product can be renamed again.

mod checks;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::domain::plan::{Plan, lines};
use crate::domain::refusal::Refusal;
use crate::process::Invocation;
use crate::product::{self, Product};
use crate::rustfmt;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask rename corner-shop
  cargo xtask rename corner-shop --title \"The Corner Shop\"
  cargo xtask rename corner-shop --dry-run

Replaces the name in all files that git tracks or would track, including the history in docs/adr: the binary, its
configuration file and its database are named NAME, environment variables begin with NAME_, and texts use the title.
Files named after the product are renamed. crates/shared-kernel/src/frozen.rs, with values that must not change once
there is data, and the migrations are not changed. The command can be run again with another name.";

/// The new name of the product.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// New name, in lowercase letters: `corner-shop`.
    name: String,
    /// Name in texts; by default the name with spaces and capital letters: `Corner Shop`.
    #[arg(long)]
    title: Option<String>,
    /// Rename even if there are uncommitted changes, which then can't be distinguished from those of the renaming.
    #[arg(long)]
    force: bool,
    /// Print the changes without writing them.
    #[arg(long)]
    dry_run: bool,
}

/// The planned changes of a renaming.
#[derive(Debug)]
struct Draft {
    plan: Plan,
    /// The files whose text changes.
    changed: Vec<PathBuf>,
    /// The files named after the product, and their new paths.
    moved: Vec<(PathBuf, PathBuf)>,
    /// The files that contain the name and are not changed.
    stay: Vec<PathBuf>,
    /// The files that already contain the new name.
    confused: Vec<PathBuf>,
}

/// Renames the product.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let old = Product::find(&workspace.root)?
        .context("Cargo.toml does not state the current name of the product: write `name` and `title` in [workspace.metadata.product]")?;
    let new = checks::product(&workspace.root, &options.name, options.title.as_deref())?;
    if new == old {
        return Err(Refusal::new(format!("the product is already named `{}`", old.name)).into());
    }
    if !options.force && !options.dry_run {
        refuse_uncommitted(workspace)?;
    }
    let draft = draft(workspace, &old, &new)?;
    if options.dry_run {
        crate::output::text(&draft.plan);
        crate::output::say!("{}nothing was written because of --dry-run", draft.moves());
        return Ok(true);
    }
    draft.apply(workspace)?;
    crate::output::say!("{}{}", draft.moves(), draft.report(&old, &new));
    Ok(true)
}

fn refuse_uncommitted(workspace: &Workspace) -> Result<()> {
    let left =
        Invocation::new("git").args(["status", "--porcelain"]).current_dir(&workspace.root).capture()?;
    match left.lines().count() {
        0 => Ok(()),
        count => bail!(
            "{count} file(s) have uncommitted changes, which could not be distinguished from those of the renaming, nor reverted separately: commit them, or use --force"
        ),
    }
}

fn draft(workspace: &Workspace, old: &Product, new: &Product) -> Result<Draft> {
    let mut draft = Draft {
        plan: Plan::new(&workspace.root),
        changed: Vec::new(),
        moved: Vec::new(),
        stay: Vec::new(),
        confused: Vec::new(),
    };
    for path in workspace.files()? {
        let text = workspace.text(&path)?.map(|text| lines(&text));
        draft.take(path, text.as_deref(), [old, new])?;
    }
    for (_, to) in &draft.moved {
        if workspace.root.join(to).exists() {
            bail!("{} already exists, and no file is overwritten: move it away", to.display());
        }
    }
    Ok(draft)
}

impl Draft {
    fn take(&mut self, path: PathBuf, text: Option<&str>, [old, new]: [&Product; 2]) -> Result<()> {
        let names = |product: &Product| text.is_some_and(|text| product.is_named_in(text));
        if names(new) {
            self.confused.push(path.clone());
        }
        if product::stays(&path) {
            self.stay.extend(names(old).then_some(path));
            return Ok(());
        }
        if let Some(text) = text.filter(|_| names(old)) {
            self.plan.write(&path, old.renamed(text, new))?;
            self.changed.push(path.clone());
        }
        let called = path.to_string_lossy().into_owned();
        let renamed = old.renamed(&called, new);
        if renamed != called {
            self.moved.push((path, renamed.into()));
        }
        Ok(())
    }

    /// Writes all texts or none, moves files, formats the sources and updates the lock file.
    fn apply(&self, workspace: &Workspace) -> Result<()> {
        self.plan.apply()?;
        for (from, to) in &self.moved {
            move_file(&workspace.root, from, to)?;
        }
        let moved = |path: &PathBuf| {
            let found = self.moved.iter().find(|(from, _)| from == path);
            found.map_or_else(|| path.clone(), |(_, to)| to.clone())
        };
        let sources: Vec<PathBuf> =
            self.changed.iter().map(moved).filter(|path| rustfmt::is_source(path)).collect();
        rustfmt::run(workspace, &sources, &[])
            .context("all files are written, but not all are formatted: see above")?;
        crate::domain::commands::lock(workspace)
    }

    fn moves(&self) -> String {
        self.moved.iter().fold(String::new(), |mut text, (from, to)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "move    {}  to  {}", from.display(), to.display());
            text
        })
    }

    fn report(&self, old: &Product, new: &Product) -> String {
        let stay = list(&self.stay);
        let stay = if stay.is_empty() { "no file".to_owned() } else { stay };
        let confused = match self.confused.first() {
            None => String::new(),
            Some(first) => format!(
                "\n{} file(s) already contained the new name, for example {}: another renaming would change it there too.",
                self.confused.len(),
                first.display()
            ),
        };
        format!(
            "`{}` was renamed to `{}`, with the title {}: {} file(s) changed, {} moved.\n\
             The old name remains in {stay}, in values that must not change once there is data.{confused}\n\n\
             If there is data already, configure its place: by default the database is now <data_dir>/{new_name}.sqlite, and the\n\
             audience of access tokens `{new_name}` (`database.url`, `auth.audience`); see docs/make-it-yours.md. Environment variables now begin with \
             {prefix}_, and users who signed in by cookie have to sign in again.\n\n\
             Next:\n  cargo xtask ci\n  git add --all && git commit\n  (`git stash --include-untracked` reverts it)",
            old.name,
            new.name,
            new.title,
            self.changed.len(),
            self.moved.len(),
            new_name = new.name,
            prefix = new.snake().to_uppercase(),
        )
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Moves a file, and removes folders that become empty.
fn move_file(root: &Path, from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("can't move {} to {}", from.display(), to.display());
    let target = root.join(to);
    fs::create_dir_all(target.parent().unwrap_or(root)).with_context(failed)?;
    fs::rename(root.join(from), &target).with_context(failed)?;
    let folders = from.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    // Stops at the first folder that is not empty.
    let _emptied = folders.map(|folder| fs::remove_dir(root.join(folder))).take_while(Result::is_ok).count();
    Ok(())
}
