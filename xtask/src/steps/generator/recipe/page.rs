//! What the page has its reader do, out of its fenced blocks.
//!
//! | behind the fence | the block is |
//! |---|---|
//! | `rust file=PATH` | a new file; any language but `diff` |
//! | `diff file=PATH` | lines that are added to a file that is there |
//! | `sh run` | commands, run at the root |
//! | `text touched` | the files that are touched outside the new crate: the first word of each line |

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

use super::insertion::Insertion;
use crate::markdown::{self, Block};

/// The page, as far as it can be followed.
#[derive(Debug)]
pub(super) struct Page {
    /// What is done, in order.
    pub(super) steps: Vec<Step>,
    /// The files that it says are touched outside the new crate.
    pub(super) touched: BTreeSet<String>,
}

/// One block to be followed.
#[derive(Debug)]
pub(super) struct Step {
    /// The line of the page.
    pub(super) line: usize,
    pub(super) action: Action,
}

/// What a block has its reader do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Write a new file.
    Write { path: String, text: String },
    /// Add lines to a file.
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
            bail!("no block ```text touched lists the files that are touched");
        }
        Ok(page)
    }

    fn take(&mut self, block: &Block) -> Result<()> {
        let mut words = block.info.split_whitespace();
        let (language, mark) = (words.next().unwrap_or_default(), words.next());
        if let Some(more) = words.next() {
            bail!("`{more}` stands behind the mark of a block");
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

    /// The name of the crate that it makes.
    pub(super) fn name(&self) -> Result<&str> {
        let made = self.steps.iter().filter_map(|step| match &step.action {
            Action::Write { path, .. } => path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"),
            _ => None,
        });
        let names: Vec<&str> = made.collect();
        match names[..] {
            [name] => Ok(name),
            _ => bail!("it makes {} crates, where one is expected", names.len()),
        }
    }
}

fn file(language: &str, mark: &str, text: &str) -> Result<Action> {
    let path = mark.strip_prefix("file=").filter(|path| !path.is_empty());
    let path = path.with_context(|| format!("a block has the mark `{mark}`, which nobody knows"))?.to_owned();
    Ok(match language {
        "diff" => Action::Insert { path, insertion: Insertion::parse(text)? },
        _ => Action::Write { path, text: text.to_owned() },
    })
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
        assert_eq!(page.name().unwrap(), "note");
    }

    #[test]
    fn a_mark_that_nobody_knows_is_told_with_its_line() {
        for (info, words) in [
            ("rust fil=a.rs", "in line 1: a block has the mark `fil=a.rs`"),
            ("rust file=", "the mark `file=`"),
            ("sh rum", "the mark `rum`"),
            ("rust file=a.rs file=b.rs", "`file=b.rs` stands behind"),
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
        assert!(Page::parse("```text touched\na\n```\n").unwrap().name().is_err());
    }
}
