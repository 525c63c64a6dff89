//! The generator, tried on a copy of the workspace: what it makes passes every check unedited, on both engines, and what it
//! takes away leaves no trace.
//!
//! The domains stand in `xtask/generator/domains.txt`, a command line each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{Outcome, postgres};
use crate::process::Invocation;
use crate::workspace::Workspace;

const DOMAINS: &str = "xtask/generator/domains.txt";
const REFUSALS: &str = "xtask/generator/refusals.txt";

/// What a developer writes into a generated file.
const BY_HAND: &str = "\n/// By hand.\npub const BY_HAND: bool = true;\n";

/// What is added to a domain that others refer to: a default, a check, an index, a shadow column, a foreign key, each with its way
/// back.
const ADDED: [&str; 9] = [
    "subtitle:string:..80:default=none:sort:search",
    "level:int:0..9:default=1:filter",
    "color:enum=red,green:default=red",
    "fee:decimal=10,2:default=0:sort",
    "contact:email:optional:unique",
    "icon:upload:optional",
    "reviewer:ref=user:optional:set-null",
    "due:date:optional:sort:filter",
    "is_open:bool=true",
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let copy = Copy::make(workspace)?;
    let domains = lines(workspace, DOMAINS)?;
    for line in lines(workspace, REFUSALS)? {
        copy.refuses(&line)?;
    }
    for line in &domains {
        copy.xtask(&format!("new-domain {line} --no-openapi"))?;
    }
    copy.xtask("openapi")?;
    copy.git("add --all")?;
    copy.git("commit --quiet --message generated")?;
    copy.checks(&names(&domains))?;
    let engines = postgres::with_server(workspace, |url| {
        copy.tests(&names(&domains), Some(url))?;
        copy.adds_fields(url)?;
        Ok(Outcome::Passed)
    })?;
    copy.removes(&names(&domains))?;
    Ok(engines)
}

fn lines(workspace: &Workspace, file: &str) -> Result<Vec<String>> {
    let text = workspace.read(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

fn names(domains: &[String]) -> Vec<&str> {
    domains.iter().filter_map(|line| line.split_whitespace().next()).collect()
}

/// A copy of the workspace as it stands, under a git of its own, with a target folder of its own.
struct Copy {
    root: PathBuf,
    target: PathBuf,
    program: PathBuf,
}

impl Copy {
    fn make(workspace: &Workspace) -> Result<Self> {
        let root = workspace.scratch("generator")?.join("workspace");
        for file in workspace.files()? {
            let to = root.join(&file);
            fs::create_dir_all(to.parent().unwrap_or(&root)).context("can't make the copy's folders")?;
            fs::copy(workspace.root.join(&file), &to)
                .with_context(|| format!("can't copy {}", file.display()))?;
        }
        let target = workspace.target.join("xtask/generator/target");
        lend(&workspace.target.join("debug"), &target.join("debug"))?;
        let copy =
            Self { root, target, program: std::env::current_exe().context("this program has no path")? };
        copy.git("init --quiet")?;
        copy.git("add --all")?;
        copy.git("commit --quiet --message before")?;
        Ok(copy)
    }

    fn in_copy(&self, program: impl AsRef<Path>) -> Invocation {
        Invocation::new(program.as_ref())
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            // Nobody builds this twice.
            .env("CARGO_INCREMENTAL", "0")
    }

    fn xtask(&self, words: &str) -> Result<()> {
        self.in_copy(&self.program).args(words.split_whitespace()).run()
    }

    fn cargo(&self, words: &str) -> Invocation {
        self.in_copy("cargo").args(words.split_whitespace()).without_configuration()
    }

    fn git(&self, words: &str) -> Result<String> {
        let someone =
            ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "-c", "commit.gpgsign=false"];
        self.in_copy("git").args(someone).args(words.split_whitespace()).capture()
    }

    /// The line is refused for the reason that it names, with one sentence and exit code 2, and nothing was written.
    fn refuses(&self, line: &str) -> Result<()> {
        let (line, words) = line.split_once(" => ").with_context(|| format!("`{line}` says not why"))?;
        let ended = self.in_copy(&self.program).arg("new-domain").args(line.split_whitespace()).ended()?;
        if ended.code != Some(2) {
            bail!(
                "`new-domain {line}` ended with {:?}, not with exit code 2:\n{}",
                ended.code,
                ended.printed
            );
        }
        let sentences = ended.printed.trim();
        if sentences.lines().count() != 1 || !sentences.starts_with("error: ") {
            bail!("`new-domain {line}` is not refused in one line:\n{sentences}");
        }
        if !sentences.contains(words) {
            bail!("`new-domain {line}` is refused for another reason than `{words}`:\n{sentences}");
        }
        println!("refused: {line}\n    {sentences}");
        self.expect_clean("a refusal")
    }

    fn expect_clean(&self, after: &str) -> Result<()> {
        let left = self.git("status --porcelain")?;
        if left.is_empty() {
            Ok(())
        } else {
            bail!("{after} left the tree changed:\n{left}\n{}", self.git("diff")?)
        }
    }

    /// Every check that looks at the code as a whole, and the tests of what is new, on SQLite.
    fn checks(&self, domains: &[&str]) -> Result<()> {
        self.xtask("ci --fail-fast --only fmt,links,architecture,clippy,docs,openapi,contract")?;
        self.tests(domains, None).map(drop)
    }

    fn tests(&self, domains: &[&str], url: Option<&str>) -> Result<Outcome> {
        let mut crates: Vec<String> = domains.iter().map(|name| format!("--package {name}")).collect();
        crates.push("--package migration".to_owned());
        for words in [
            format!("test --locked {}", crates.join(" ")),
            "test --locked --package tests domains::".to_owned(),
        ] {
            let test = self.cargo(&words);
            match url {
                Some(url) => test.env("TEST_DATABASE_URL", url).run()?,
                None => test.run()?,
            }
        }
        Ok(Outcome::Passed)
    }

    /// Fields of many kinds are added: to a domain that somebody worked on, where what was written by hand stays, and to one
    /// that others refer to.
    fn adds_fields(&self, url: &str) -> Result<()> {
        let service = self.root.join("crates/post/src/service.rs");
        let edited =
            fs::read_to_string(&service)?.replace("/// Makes a post.", "/// Makes a post, said by hand.");
        fs::write(&service, edited + BY_HAND).context("can't edit the copy")?;
        self.xtask("add-field post subtitle:string:1..80:optional:sort:search --no-openapi")?;
        let merged = fs::read_to_string(&service)?;
        if !merged.contains("said by hand") || !merged.contains(BY_HAND) {
            bail!("add-field lost what was written by hand in {}", service.display());
        }
        self.xtask(&format!("add-field category {} --no-openapi", ADDED.join(" ")))?;
        self.xtask("openapi")?;
        self.xtask("ci --fail-fast --only fmt,links,architecture,clippy,openapi")?;
        let touched = ["post", "category", "torture", "remark"];
        self.tests(&touched, None)?;
        self.tests(&touched, Some(url))?;
        // Back to what was generated.
        self.git("reset --quiet --hard")?;
        self.git("clean --quiet --force -d").map(drop)
    }

    /// In the other order, so that nobody refers to what goes; the tree is then what it was before.
    fn removes(&self, domains: &[&str]) -> Result<()> {
        for name in domains.iter().rev() {
            self.xtask(&format!("remove-domain {name} --no-openapi"))?;
        }
        self.xtask("openapi")?;
        self.git("add --all")?;
        let difference = self.git("diff --cached --stat HEAD~1")?;
        if difference.is_empty() {
            Ok(())
        } else {
            bail!("what was removed left a trace:\n{difference}\n{}", self.git("diff --cached HEAD~1")?)
        }
    }
}

/// Lends the build of the dependencies to another target folder: the same files, by hard links. What is built of this
/// workspace stays here, because cargo tells two workspaces apart by their files' times only.
fn lend(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context("can't make the copy's target folder")?;
    // What cargo writes into again is copied.
    for (folder, how) in [("build", "-al"), ("deps", "-al"), (".fingerprint", "-a")] {
        if from.join(folder).is_dir() {
            Invocation::new("cp").arg(how).arg(from.join(folder)).arg(to).run()?;
        }
    }
    for member in members()? {
        for folder in ["build", "deps", ".fingerprint"] {
            forget(&to.join(folder), &member)?;
        }
    }
    Ok(())
}

/// The names by which files of this workspace's own build start.
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

/// Removes `NAME-HASH` and `libNAME-HASH`, whatever their endings.
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
