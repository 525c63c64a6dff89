//! A temporary copy of the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::domain::spare;
use crate::process::Invocation;
use crate::workspace::Workspace;

/// The parts of the workspace's build that the copy starts with, besides the dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::steps) enum Build {
    /// Also the crates of the workspace. Unchanged crates are not built again; paths compiled into them are those of the workspace, so
    /// their own tests must not be run.
    Lent,
    /// No crates of the workspace.
    Own,
}

/// A copy of the current state of the workspace, with a git repository and a target folder of its own.
pub(in crate::steps) struct Copy {
    folder: PathBuf,
    pub(in crate::steps) root: PathBuf,
    target: PathBuf,
    program: PathBuf,
    /// Names of the test domains in this copy, which differ if the workspace has domains of these names.
    names: BTreeMap<String, String>,
}

impl Copy {
    /// Creates the copy below `target/xtask/NAME`. The test domains get unused names.
    pub(in crate::steps) fn make(
        workspace: &Workspace,
        name: &str,
        build: Build,
        domains: &[String],
    ) -> Result<Self> {
        let folder = workspace.scratch(name)?;
        let (root, target) = (folder.join("workspace"), folder.join("target"));
        for file in workspace.files()? {
            copy_file(&workspace.root.join(&file), &root.join(&file))
                .with_context(|| format!("can't copy {}", file.display()))?;
        }
        lend(&workspace.target.join("debug"), &target.join("debug"))?;
        if build == Build::Own {
            forget_members(&target.join("debug"))?;
        }
        let wanted: Vec<&str> = domains.iter().map(|line| first_word(line)).collect();
        let copy = Self {
            program: program(workspace, &folder)?,
            folder,
            root,
            target,
            names: spare::names(&workspace.root, &wanted)?,
        };
        copy.git("init --quiet")?;
        copy.commit("before")?;
        Ok(copy)
    }

    /// The name of a test domain in this copy.
    pub(in crate::steps) fn name<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// The names of the domains of these lines in this copy.
    pub(in crate::steps) fn made<'a>(&'a self, lines: &'a [String]) -> Vec<&'a str> {
        lines.iter().map(|line| self.name(first_word(line))).collect()
    }

    /// A line of the list with the names of this copy.
    pub(in crate::steps) fn renamed(&self, line: &str) -> String {
        spare::renamed(line, &self.names)
    }

    /// A program that runs in the copy.
    fn run(&self, program: impl AsRef<Path>) -> Invocation {
        Invocation::new(program.as_ref())
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "0")
    }

    /// `cargo xtask` of the original workspace.
    pub(in crate::steps) fn tool(&self) -> Invocation {
        self.run(&self.program)
    }

    /// Runs `cargo xtask` with these arguments.
    pub(in crate::steps) fn xtask(&self, words: &str) -> Result<()> {
        self.tool().args(words.split_whitespace()).run()
    }

    /// Runs it like `cargo xtask … | head -1`: the output is not read, and the command must finish nevertheless.
    pub(in crate::steps) fn xtask_unheard(&self, words: &str) -> Result<()> {
        let shell = self.run("bash").args(["-o", "pipefail", "-c", r#""$0" "$@" | true"#]);
        shell.arg(&self.program).args(words.split_whitespace()).run()
    }

    /// Cargo, with these arguments.
    pub(in crate::steps) fn cargo(&self, words: &str) -> Invocation {
        self.run("cargo").args(words.split_whitespace()).without_configuration()
    }

    /// Runs git with these arguments and returns its output.
    pub(in crate::steps) fn git(&self, words: &str) -> Result<String> {
        let someone =
            ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "-c", "commit.gpgsign=false"];
        self.run("git").args(someone).args(words.split_whitespace()).capture()
    }

    /// Runs shell commands and prints each. `cargo xtask` is the one of the original workspace, and the data of the product is beside
    /// the copy.
    pub(super) fn shell(&self, commands: &str) -> Result<()> {
        const TOOL: &str =
            r#"cargo() { if [ "$1" = xtask ]; then "$TOOL" "${@:2}"; else command cargo "$@"; fi; }"#;
        let script = self.folder.join("commands.sh");
        fs::write(&script, format!("{TOOL}\n{commands}")).context("can't write the commands")?;
        let shell = self.run("bash").args(["-euo", "pipefail", "-x"]).arg(script);
        let data = self.folder.join("data");
        shell
            .without_configuration()
            .overlapping_tests()
            .env("TOOL", &self.program)
            .env("ASHLAR_DATA_DIR", data)
            .run()
    }

    /// Runs the tests of these domains, in their crates and over HTTP; on SQLite if there is no URL.
    pub(in crate::steps) fn tests(&self, domains: &[&str], url: Option<&str>) -> Result<()> {
        let crates: Vec<String> = domains.iter().map(|name| format!("--package {name}")).collect();
        for words in [
            format!("test --locked {}", crates.join(" ")),
            "test --locked --package tests --test it domains::".to_owned(),
        ] {
            let test = self.cargo(&words).overlapping_tests();
            match url {
                Some(url) => test.env("TEST_DATABASE_URL", url).run()?,
                None => test.run()?,
            }
        }
        Ok(())
    }

    /// Writes a new file.
    pub(super) fn create(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        let mut file =
            fs::File::create_new(&path).with_context(|| format!("can't make {}", path.display()))?;
        file.write_all(text.as_bytes()).context("can't write into the copy")
    }

    /// Edits a file.
    pub(in crate::steps) fn edit(&self, path: &str, change: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.root.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        fs::write(&path, change(text)).context("can't edit the copy")
    }

    /// Commits the current state, and returns the commit.
    pub(in crate::steps) fn commit(&self, what: &str) -> Result<String> {
        self.git("add --all")?;
        self.git(&format!("commit --quiet --message {what}"))?;
        self.git("rev-parse HEAD")
    }

    /// Restores the state of that commit.
    pub(super) fn back(&self, to: &str) -> Result<()> {
        self.git(&format!("reset --quiet --hard {to}"))?;
        self.git("clean --quiet --force -d").map(drop)
    }

    /// Fails if there are uncommitted changes.
    pub(in crate::steps) fn expect_clean(&self, after: &str) -> Result<()> {
        let left = self.git("status --porcelain")?;
        if left.is_empty() {
            Ok(())
        } else {
            bail!("{after} left the tree changed:\n{left}\n{}", self.git("diff")?)
        }
    }

    /// Removes the domains in reverse order, so that no other domain refers to the removed one.
    pub(in crate::steps) fn remove_domains(&self, domains: &[&str]) -> Result<()> {
        domains.iter().rev().try_for_each(|name| self.xtask(&format!("remove-domain {name} --no-openapi")))
    }

    /// Fails if the tree differs from that before the first domain.
    pub(in crate::steps) fn expect_no_trace(&self) -> Result<()> {
        self.git("add --all")?;
        let before = self.git("rev-list --max-parents=0 HEAD")?;
        let difference = self.git(&format!("diff --cached {before}"))?;
        if difference.is_empty() { Ok(()) } else { bail!("the removed domains left a trace:\n{difference}") }
    }

    /// Removes the copy. After a failure it is retained for inspection.
    pub(in crate::steps) fn thrown_away(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("can't remove {}", self.folder.display()))
    }
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// Copies a file with its modification time, by which cargo decides what to build again.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    fs::copy(from, to)?;
    let changed = fs::metadata(from)?.modified()?;
    Ok(fs::File::options().write(true).open(to)?.set_modified(changed)?)
}

/// A copy of this program that no build replaces: the tests of the workspace build it with other features at the same path.
pub(in crate::steps) fn program(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    Invocation::new("cargo")
        .args(["build", "--locked", "--package", "xtask"])
        .current_dir(&workspace.root)
        .run()?;
    let name = format!("xtask{}", std::env::consts::EXE_SUFFIX);
    let program = folder.join(&name);
    fs::copy(workspace.target.join("debug").join(&name), &program).context("can't copy this program")?;
    Ok(program)
}

/// Shares a build with another target folder by hard links.
fn lend(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context("can't make the copy's target folder")?;
    // Files that cargo modifies in place are copied.
    for (folder, how) in [("build", "-al"), ("deps", "-al"), (".fingerprint", "-a")] {
        if from.join(folder).is_dir() {
            Invocation::new("cp").arg(how).arg(from.join(folder)).arg(to).run()?;
        }
    }
    Ok(())
}

/// Removes the crates of this workspace from a shared build.
fn forget_members(target: &Path) -> Result<()> {
    for member in members()? {
        for folder in ["build", "deps", ".fingerprint"] {
            forget(&target.join(folder), &member)?;
        }
    }
    Ok(())
}

/// The prefixes of the names of files that are built from the crates of this workspace.
fn members() -> Result<Vec<String>> {
    let metadata = Invocation::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .capture()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets
            .chain([package])
            .filter_map(|it| it["name"].as_str())
            .map(|name| name.replace('-', "_"))
            .collect::<Vec<_>>()
    });
    Ok(targets.collect())
}

/// Removes `NAME-HASH` and `libNAME-HASH`, with any extension.
fn forget(folder: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        let file = path.file_name().map(|name| name.to_string_lossy().replace('-', "_")).unwrap_or_default();
        let is_own = |file: &str| {
            file.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('_'))
                .is_some_and(|hash| hash.split('.').next().is_some_and(|hash| hash.len() == 16))
        };
        if is_own(&file) || file.strip_prefix("lib").is_some_and(is_own) {
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
    }
    Ok(())
}
