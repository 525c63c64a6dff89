//! Reads the fenced blocks of a page that a reader has to follow.
//!
//! | info string of the fence | contents of the block |
//! |---|---|
//! | `rust file=PATH` | a new file; any language but `diff` |
//! | `rust replace=PATH` | an existing file, which is overwritten |
//! | `diff file=PATH` | lines that are added to an existing file, or removed from it |
//! | `sh run` | commands, run in the root folder |
//! | `text touched` | the files that are changed outside the new crates: the first word of each line |
//!
//! `m…_create_notes.rs` stands for a migration with the time of day in its name.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

use super::insertion::Insertion;
use crate::markdown::{self, Block};

/// The blocks of a page.
#[derive(Debug)]
pub(super) struct Page {
    /// The actions, in order.
    pub(super) steps: Vec<Step>,
    /// The files that it lists as changed outside the new crates.
    pub(super) touched: BTreeSet<String>,
}

/// One block to follow.
#[derive(Debug)]
pub(super) struct Step {
    /// Its line in the page.
    pub(super) line: usize,
    pub(super) action: Action,
}

/// The action of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Write a new file.
    Write { path: String, text: String },
    /// Overwrite a file.
    Replace { path: String, text: String },
    /// Add lines to a file, and remove lines.
    Insert { path: String, insertion: Insertion },
    /// Run commands.
    Run(String),
}

impl Page {
    /// Reads the page.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut page = Self { steps: Vec::new(), touched: BTreeSet::new() };
        for block in markdown::blocks(text) {
            page.take(&block).with_context(|| format!("in line {}", block.line))?;
        }
        if page.touched.is_empty() {
            bail!("no block ```text touched lists the changed files");
        }
        Ok(page)
    }

    fn take(&mut self, block: &Block) -> Result<()> {
        let mut words = block.info.split_whitespace();
        let (language, mark) = (words.next().unwrap_or_default(), words.next());
        if let Some(more) = words.next() {
            bail!("unexpected `{more}` after the mark of a block");
        }
        let action = match mark {
            None => return Ok(()),
            Some("touched") => {
                let paths = block.text.lines().filter_map(|line| line.split_whitespace().next());
                self.touched.extend(paths.map(str::to_owned));
                return Ok(());
            }
            Some("run") => Action::Run(block.text.clone()),
            Some(mark) => file(language, mark, &block.text)?,
        };
        self.steps.push(Step { line: block.line, action });
        Ok(())
    }

    /// The names of the crates that it writes by hand or generates with `new-domain`.
    pub(super) fn names(&self) -> Result<Vec<&str>> {
        let names: Vec<&str> = self.steps.iter().flat_map(|step| made(&step.action)).collect();
        if names.is_empty() {
            bail!("it writes no crate");
        }
        Ok(names)
    }
}

fn made(action: &Action) -> Vec<&str> {
    match action {
        Action::Write { path, .. } => path
            .strip_prefix("crates/")
            .and_then(|path| path.strip_suffix("/Cargo.toml"))
            .into_iter()
            .collect(),
        Action::Run(commands) => {
            let lines = commands.lines().filter_map(|line| line.strip_prefix("cargo xtask new-domain "));
            lines.filter_map(|line| line.split_whitespace().next()).collect()
        }
        Action::Replace { .. } | Action::Insert { .. } => Vec::new(),
    }
}

fn file(language: &str, mark: &str, text: &str) -> Result<Action> {
    let marked = mark.split_once('=').filter(|(_, path)| !path.is_empty());
    let (how, path) = marked.with_context(|| unknown(mark))?;
    let (path, text) = (path.to_owned(), text.to_owned());
    Ok(match (how, language) {
        ("file", "diff") => Action::Insert { path, insertion: Insertion::parse(&text)? },
        ("file", _) => Action::Write { path, text },
        ("replace", _) => Action::Replace { path, text },
        _ => bail!(unknown(mark)),
    })
}

fn unknown(mark: &str) -> String {
    format!("unknown mark `{mark}` of a block")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# A page

`a.rs`:

```rust file=a.rs
fn a() {}
```

```toml file=crates/note/Cargo.toml
[package]
```

```diff file=list.rs
 one
+two
```

```sh run
cargo test
```

```sh
cargo xtask ci
```

```rust,ignore
not this
```

```text touched
a.rs     by hand
list.rs  by hand
```
";

    fn told(text: &str) -> String {
        format!("{:#}", Page::parse(text).unwrap_err())
    }

    #[test]
    fn blocks_are_followed_in_order() {
        let page = Page::parse(PAGE).unwrap();
        let lines: Vec<_> = page.steps.iter().map(|step| step.line).collect();
        assert_eq!(lines, [5, 9, 13, 18]);
        let written = Action::Write { path: "a.rs".to_owned(), text: "fn a() {}\n".to_owned() };
        assert_eq!(page.steps[0].action, written);
        assert!(matches!(&page.steps[2].action, Action::Insert { path, .. } if path == "list.rs"));
        assert_eq!(page.steps[3].action, Action::Run("cargo test\n".to_owned()));
        assert_eq!(page.touched, ["a.rs", "list.rs"].map(str::to_owned).into());
        assert_eq!(page.names().unwrap(), ["note"]);
    }

    #[test]
    fn domains_are_made_by_commands_too_and_files_written_anew() {
        let text = "```sh run\ncargo xtask new-domain a x:int\ncargo test\n```\n```rust replace=b.rs\nfn b() {}\n```\n```text touched\na\n```\n";
        let page = Page::parse(text).unwrap();
        assert_eq!(page.names().unwrap(), ["a"]);
        let anew = Action::Replace { path: "b.rs".to_owned(), text: "fn b() {}\n".to_owned() };
        assert_eq!(page.steps[1].action, anew);
    }

    #[test]
    fn a_mark_that_nobody_knows_is_told_with_its_line() {
        for (info, words) in [
            ("rust fil=a.rs", "in line 1: unknown mark `fil=a.rs`"),
            ("rust file=", "unknown mark `file=`"),
            ("sh rum", "unknown mark `rum`"),
            ("rust file=a.rs file=b.rs", "unexpected `file=b.rs` after"),
        ] {
            let told = told(&format!("```{info}\nx\n```\n"));
            assert!(told.contains(words), "{info}: {told}");
        }
    }

    #[test]
    fn a_page_without_a_list_is_refused() {
        assert!(told("```sh run\ntrue\n```\n").contains("text touched"));
    }

    #[test]
    fn a_page_that_makes_no_crate_has_no_name() {
        assert!(Page::parse("```text touched\na\n```\n").unwrap().names().is_err());
    }
}
