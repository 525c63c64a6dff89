//! `cargo xtask rename`: the product gets another name, everywhere but where data would be lost by it.
//!
//! What it is called now stands in the root `Cargo.toml`, so that it can be renamed again.

mod wish;

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

All files that git has or would take are gone through, the history in docs/adr too: the binary, its file of settings and its
database are called NAME, variables begin with NAME_, people read the title. Files that are called after the product are moved.
crates/shared-kernel/src/frozen.rs stays as it is, with what must not change once there is data, and so do the migrations.
It can be done again.";

/// What the product is to be called.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Its new name, in small letters: `corner-shop`.
    name: String,
    /// What people read; without it the name with spaces and capital letters: `Corner Shop`.
    #[arg(long)]
    title: Option<String>,
    /// Also if there are changes that are not committed, which then can't be told from those of the renaming.
    #[arg(long)]
    force: bool,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What a renaming will do.
#[derive(Debug)]
struct Draft {
    plan: Plan,
    /// The files whose text changes.
    changed: Vec<PathBuf>,
    /// The files that are called after the product, and what they will be called.
    moved: Vec<(PathBuf, PathBuf)>,
    /// The files that name it and stay.
    stay: Vec<PathBuf>,
    /// The files that have the new name already.
    confused: Vec<PathBuf>,
}

/// Renames the product.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let old = Product::find(&workspace.root)?
        .context("Cargo.toml doesn't say what the product is called now: write `name` and `title` in [workspace.metadata.product]")?;
    let new = wish::product(&workspace.root, &options.name, options.title.as_deref())?;
    if new == old {
        return Err(Refusal::new(format!("it is called `{}` already", old.name)).into());
    }
    if !options.force && !options.dry_run {
        refuse_uncommitted(workspace)?;
    }
    let draft = draft(workspace, &old, &new)?;
    if options.dry_run {
        crate::output::text(&draft.plan);
        crate::output::say!("{}nothing was written: leave --dry-run out for that", draft.moves());
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
            "{count} file(s) have changes that are not committed, and what a renaming changes could not be told from them, nor taken back alone: commit them, or use --force"
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
            bail!("{} is there already, and nothing is overwritten: move it away", to.display());
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

    /// Writes all texts or none, moves files, and has the other tools do what follows from that.
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
            .context("every file is written, but not every one formatted: see above")?;
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
                "\n{} file(s) had the new name before, as {} has: a second renaming would change it there too.",
                self.confused.len(),
                first.display()
            ),
        };
        format!(
            "`{}` is `{}` now, and people read {}: {} file(s) changed, {} moved.\n\
             The old name stays in {stay}: see there what must not change once there is data.{confused}\n\n\
             If there is data already, say where it is: by default the database is <data_dir>/{new_name}.sqlite, and the\n\
             audience of access tokens `{new_name}` (`database.url`, `auth.audience`); docs/make-it-yours.md has the rest. Variables begin with \
             {prefix}_, and who signed in by cookie signs in again.\n\n\
             Next:\n  cargo xtask ci\n  git add --all && git commit\n  (`git stash --include-untracked` takes it back)",
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

/// Moves a file, and takes the folders away that nothing is left in.
fn move_file(root: &Path, from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("can't move {} to {}", from.display(), to.display());
    let target = root.join(to);
    fs::create_dir_all(target.parent().unwrap_or(root)).with_context(failed)?;
    fs::rename(root.join(from), &target).with_context(failed)?;
    let folders = from.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    // One that is not empty can't be removed, and then none above it can.
    let _emptied = folders.map(|folder| fs::remove_dir(root.join(folder))).take_while(Result::is_ok).count();
    Ok(())
}
