//! The coverage report of LLVM by file. It covers only the files in `crates/*/src`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Number of the least covered files in the report.
const SHOWN: usize = 15;

/// Lines of the files in `crates/*/src`.
#[derive(Debug)]
pub(crate) struct Report {
    files: BTreeMap<String, Lines>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct Lines {
    count: u64,
    covered: u64,
}

impl Lines {
    #[expect(clippy::cast_precision_loss, reason = "numbers of lines are small")]
    fn percent(self) -> f64 {
        if self.count == 0 {
            return 100.0;
        }
        self.covered as f64 * 100.0 / self.count as f64
    }

    fn missed(self) -> u64 {
        self.count.saturating_sub(self.covered)
    }

    fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, covered: self.covered + other.covered }
    }
}

impl Report {
    /// Reads the JSON of `llvm-cov export --summary-only`.
    pub(crate) fn read(json: &str, root: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Export {
            data: Vec<Unit>,
        }
        #[derive(Deserialize)]
        struct Unit {
            files: Vec<File>,
        }
        #[derive(Deserialize)]
        struct File {
            filename: PathBuf,
            summary: Summary,
        }
        #[derive(Deserialize)]
        struct Summary {
            lines: Lines,
        }
        let export: Export =
            serde_json::from_str(json).context("the report of llvm-cov could not be parsed")?;
        let crates = root.join("crates");
        let named = |file: &File| {
            let path = file.filename.strip_prefix(&crates).ok()?;
            (path.iter().nth(1)? == "src").then(|| path.display().to_string())
        };
        let all = export.data.iter().flat_map(|unit| &unit.files);
        let files: BTreeMap<_, _> = all.filter_map(|file| Some((named(file)?, file.summary.lines))).collect();
        if files.is_empty() {
            bail!("llvm-cov reports no file below {}", crates.display());
        }
        Ok(Self { files })
    }

    /// The percentage of covered lines.
    pub(crate) fn percent(&self) -> f64 {
        self.total().percent()
    }

    fn total(&self) -> Lines {
        self.files.values().fold(Lines::default(), |sum, lines| sum.plus(*lines))
    }

    fn by_crate(&self) -> BTreeMap<&str, Lines> {
        let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
        for (file, lines) in &self.files {
            let name = file.split('/').next().unwrap_or(file);
            let sum = crates.entry(name).or_default();
            *sum = sum.plus(*lines);
        }
        crates
    }

    /// The files with the most lines that are not covered.
    fn gaps(&self) -> Vec<(&str, Lines)> {
        let mut gaps: Vec<_> = self.files.iter().map(|(file, lines)| (file.as_str(), *lines)).collect();
        gaps.retain(|(_, lines)| lines.missed() > 0);
        gaps.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.missed()));
        gaps.truncate(SHOWN);
        gaps
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |out: &mut fmt::Formatter<'_>, name: &str, lines: Lines| {
            writeln!(
                out,
                "{name:<44} {:>6} of {:>6} lines {:>6.1} %",
                lines.covered,
                lines.count,
                lines.percent()
            )
        };
        for (name, lines) in self.by_crate() {
            line(out, name, lines)?;
        }
        line(out, "crates/", self.total())?;
        writeln!(out, "most lines not run:")?;
        for (name, lines) in self.gaps() {
            line(out, &format!("  {name}"), lines)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = r#"{"data": [{"files": [
        {"filename": "/w/crates/user/src/lib.rs", "summary": {"lines": {"count": 10, "covered": 9, "percent": 90}}},
        {"filename": "/w/crates/user/src/dto.rs", "summary": {"lines": {"count": 10, "covered": 10, "percent": 100}}},
        {"filename": "/w/crates/auth/src/lib.rs", "summary": {"lines": {"count": 20, "covered": 1, "percent": 5}}},
        {"filename": "/w/crates/auth/tests/it.rs", "summary": {"lines": {"count": 50, "covered": 50, "percent": 100}}},
        {"filename": "/w/xtask/src/main.rs", "summary": {"lines": {"count": 900, "covered": 0, "percent": 0}}}
    ], "totals": {}}], "type": "llvm.coverage.json.export"}"#;

    #[test]
    fn only_lines_below_crates_count() {
        let report = Report::read(EXPORT, Path::new("/w")).unwrap();
        assert!((report.percent() - 50.0).abs() < 1e-9);
        assert_eq!(report.by_crate()["user"], Lines { count: 20, covered: 19 });
        assert_eq!(report.gaps()[0].0, "auth/src/lib.rs");
        assert_eq!(report.gaps().len(), 2);
        assert!(report.to_string().contains("crates/ "));
    }

    #[test]
    fn an_empty_report_is_an_error() {
        assert!(Report::read(EXPORT, Path::new("/elsewhere")).is_err());
        assert!(Report::read("{}", Path::new("/w")).is_err());
    }
}
