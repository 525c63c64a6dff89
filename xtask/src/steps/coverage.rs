//! Test coverage by line.
//!
//! If the tools of LLVM are installed, the steps `test` and `postgres` run the tests instrumented, with one build for both, and the
//! step `coverage` reads the profiles. With `--only coverage`, it runs the tests itself.
//!
//! Only the members of the workspace are instrumented, by a wrapper around rustc, so that the dependencies are not built again.
//! The numbers come from the compiler's own instrumentation and LLVM's own tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Outcome, missing};
use crate::coverage_report::Report;
use crate::process::{Invocation, on_path};
use crate::workspace::Workspace;

/// Minimum percentage of the lines in `crates/*/src` that the tests must cover. A change that lowers it states the reason here.
const FLOOR: f64 = 90.0;

/// Cargo calls it with the path and the arguments of rustc, only for members of the workspace. In bash, because dash drops
/// variables such as `CARGO_BIN_EXE_spare-name`, whose names it cannot have.
const WRAPPER: &str = "#!/usr/bin/env bash\nexec \"$@\" -C instrument-coverage\n";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let Some(tools) = Tools::find()? else {
        return missing("LLVM's coverage tools are not installed (`rustup component add llvm-tools`)");
    };
    let profiles = profiles(workspace)?;
    if fs::read_dir(&profiles).context("can't list the profiles")?.next().is_none() {
        tests(workspace)?.arg("--tests").run()?;
    }
    let binaries = binaries(workspace)?;
    let merged = workspace.kept("coverage")?.join("merged.profdata");
    tools.merge(&profiles, &merged)?;
    let report = Report::read(&tools.export(&merged, &binaries)?, &workspace.root)?;
    crate::output::text(&report);
    tools.html(&merged, &binaries, &workspace.root, &workspace.scratch("coverage/html")?)?;
    let percent = report.percent();
    if percent < FLOOR {
        bail!(
            "the tests cover {percent:.1} % of the lines below crates/, but at least {FLOOR} % are required: add tests for the files listed above"
        );
    }
    Ok(Outcome::Passed)
}

/// The test command of the README, instrumented if the tools of LLVM are installed.
pub(super) fn tests(workspace: &Workspace) -> Result<Invocation> {
    let tests = Invocation::new("cargo")
        .args(["test", "--workspace", "--locked"])
        .without_configuration()
        .overlapping_tests()
        .current_dir(&workspace.root);
    if Tools::find()?.is_none() {
        return Ok(tests);
    }
    let wrapper = workspace.kept("coverage")?.join("rustc");
    // Cargo builds everything again if the modification time of the wrapper changes.
    if fs::read_to_string(&wrapper).ok().as_deref() != Some(WRAPPER) {
        fs::write(&wrapper, WRAPPER).context("can't write the wrapper")?;
    }
    // Each time: a run may have been killed between the two.
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
        .context("can't make the wrapper executable")?;
    let profiles = profiles(workspace)?.join("%p-%m.profraw");
    Ok(tests.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env("LLVM_PROFILE_FILE", profiles))
}

/// The folder of the profiles that instrumented programs write; emptied at the first call of each run of this program.
fn profiles(workspace: &Workspace) -> Result<PathBuf> {
    let (run, this) = (workspace.kept("coverage")?.join("run"), std::process::id().to_string());
    if fs::read_to_string(&run).ok().as_deref() == Some(&this) {
        return workspace.kept("coverage/profiles");
    }
    let profiles = workspace.scratch("coverage/profiles")?;
    fs::write(run, this).context("can't record the run of the profiles")?;
    Ok(profiles)
}

/// The test binaries.
fn binaries(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let words = ["--tests", "--no-run", "--message-format", "json-render-diagnostics"];
    let messages = tests(workspace)?.args(words).capture()?;
    let binaries = messages.lines().filter_map(executable).collect::<Vec<_>>();
    if binaries.is_empty() {
        bail!("cargo names no test binary");
    }
    Ok(binaries)
}

/// The executable in one line of the messages of cargo.
fn executable(line: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    serde_json::from_str::<Message>(line).ok()?.executable
}

/// The tools of LLVM, in the version with which rustc was built.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    /// Those of the toolchain, otherwise those of Debian in the same version.
    fn find() -> Result<Option<Self>> {
        let rustc = |args: &[&str]| Invocation::new("rustc").args(args).capture();
        let about = rustc(&["-vV"])?;
        let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let host = field("host:").context("rustc names no host")?;
        let sysroot = rustc(&["--print", "sysroot"])?;
        let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
        if folder.join("llvm-cov").is_file() && folder.join("llvm-profdata").is_file() {
            return Ok(Some(Self { profdata: folder.join("llvm-profdata"), cov: folder.join("llvm-cov") }));
        }
        let major = field("LLVM version:").and_then(|version| version.split('.').next()).unwrap_or_default();
        let (profdata, cov) = (format!("llvm-profdata-{major}"), format!("llvm-cov-{major}"));
        let found = on_path(&profdata) && on_path(&cov);
        Ok(found.then(|| Self { profdata: profdata.into(), cov: cov.into() }))
    }

    fn merge(&self, profiles: &Path, merged: &Path) -> Result<()> {
        // A killed process leaves an incomplete profile: one such file among many is not a failure.
        let args = ["merge", "--sparse", "--failure-mode=all", "--output"];
        Invocation::new(&self.profdata).args(args).arg(merged).arg(profiles).run()
    }

    fn export(&self, merged: &Path, binaries: &[PathBuf]) -> Result<String> {
        self.call(["export", "--format=text", "--summary-only"].as_slice(), merged, binaries).capture()
    }

    fn html(&self, merged: &Path, binaries: &[PathBuf], root: &Path, folder: &Path) -> Result<()> {
        let output = format!("--output-dir={}", folder.display());
        let command = self.call(&["show", "--format=html", &output], merged, binaries).arg("--sources");
        command.arg(root.join("crates")).capture()?;
        crate::output::say!("report in HTML: {}", folder.join("index.html").display());
        Ok(())
    }

    fn call(&self, args: &[&str], merged: &Path, binaries: &[PathBuf]) -> Invocation {
        let objects = binaries.iter().map(|binary| format!("--object={}", binary.display()));
        Invocation::new(&self.cov)
            .args(args)
            .arg(format!("--instr-profile={}", merged.display()))
            .args(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_cargos_messages() {
        let artifact = r#"{"reason":"compiler-artifact","executable":"/target/debug/deps/user-1"}"#;
        assert_eq!(executable(artifact), Some(PathBuf::from("/target/debug/deps/user-1")));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("no json"), None);
    }
}
