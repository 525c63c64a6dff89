//! Lines that are added to a file or removed from it, as a page shows them: like a diff, without line numbers.
//!
//! A line that starts with a space exists, one that starts with `+` is added after it, and one that starts with `-` is removed. ` …`
//! stands for any number of lines, so that a list may be longer than on the page.

use anyhow::{Context as _, Result, bail};

/// Lines to add and to remove, and the context lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Insertion(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// An existing line.
    Kept(String),
    /// Any number of lines.
    Gap,
    /// A line to add.
    Added(String),
    /// A line to remove.
    Removed(String),
}

impl Insertion {
    /// Reads the lines of a block.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts = text.lines().map(part).collect::<Result<Vec<_>>>()?;
        let ends_open = parts.iter().rev().find(|part| !matches!(part, Part::Added(_))) == Some(&Part::Gap);
        if !matches!(parts.first(), Some(Part::Kept(_) | Part::Removed(_))) || ends_open {
            bail!("added lines must follow an existing line, and so must a line after …");
        }
        if !parts.iter().any(|part| matches!(part, Part::Added(_) | Part::Removed(_))) {
            bail!("no line is added or removed");
        }
        Ok(Self(parts))
    }

    /// The text after the change.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut found = (0..lines.len()).filter_map(|start| self.places(&lines, start));
        let places = found.next().context("the context lines are not in the file")?;
        if found.next().is_some() {
            bail!("the context lines are in the file more than once");
        }
        let mut edited: Vec<&str> = lines;
        for (at, change) in places.into_iter().rev() {
            match change {
                Some(line) => edited.insert(at, line),
                None => drop(edited.remove(at)),
            }
        }
        Ok(edited.join("\n") + "\n")
    }

    /// The changes, if the first part is the line at `start`: for each line, the lines to add after it, or `None` to remove it.
    fn places<'a>(&'a self, lines: &[&str], start: usize) -> Option<Vec<(usize, Option<&'a str>)>> {
        let (mut at, mut in_gap) = (start, false);
        let (mut places, mut waiting) = (Vec::new(), Vec::new());
        for part in &self.0 {
            match part {
                Part::Gap => in_gap = true,
                Part::Added(line) if in_gap => waiting.push(line.as_str()),
                Part::Added(line) => places.push((at, Some(line.as_str()))),
                Part::Kept(line) | Part::Removed(line) => {
                    let rest = lines.get(at..)?;
                    at += if in_gap { rest.iter().position(|other| other == line)? } else { 0 };
                    lines.get(at).filter(|other| *other == line)?;
                    places.extend(waiting.drain(..).map(|line| (at, Some(line))));
                    places.extend(matches!(part, Part::Removed(_)).then_some((at, None)));
                    (at, in_gap) = (at + 1, false);
                }
            }
        }
        Some(places)
    }
}

fn part(line: &str) -> Result<Part> {
    if line == " …" {
        return Ok(Part::Gap);
    }
    match line.split_at_checked(1) {
        Some((" ", kept)) => Ok(Part::Kept(kept.to_owned())),
        Some(("+", added)) => Ok(Part::Added(added.to_owned())),
        Some(("-", removed)) => Ok(Part::Removed(removed.to_owned())),
        None => Ok(Part::Kept(String::new())),
        _ => bail!("`{line}` starts with neither a space, nor +, nor -"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "list! {\n    a,\n    c,\n}\n\nother! {\n    a,\n}\n";

    fn applied(lines: &str) -> Result<String> {
        Insertion::parse(lines).unwrap().apply(LIST)
    }

    #[test]
    fn lines_are_added_behind_those_that_are_there() {
        let edited = applied(" list! {\n     a,\n+    b,\n+    bb,\n     c,\n").unwrap();
        assert_eq!(edited, LIST.replacen("    a,\n", "    a,\n    b,\n    bb,\n", 1));
    }

    #[test]
    fn a_gap_reaches_to_the_next_line_that_is_there() {
        let edited = applied(" list! {\n …\n+    d,\n }\n").unwrap();
        assert_eq!(edited, LIST.replacen("    c,\n", "    c,\n    d,\n", 1));
    }

    #[test]
    fn a_place_has_to_be_there_once() {
        for (lines, words) in [
            (" nothing\n+x\n", "not in the file"),
            ("     a,\n+    b,\n", "more than once"),
            (" list! {\n     c,\n+x\n", "not in the file"),
        ] {
            let told = applied(lines).unwrap_err().to_string();
            assert!(told.contains(words), "{lines}: {told}");
        }
    }

    #[test]
    fn a_line_goes_and_others_come_in_its_place() {
        let edited = applied(" list! {\n-    a,\n+    b,\n+    bb,\n     c,\n").unwrap();
        assert_eq!(edited, LIST.replacen("    a,\n", "    b,\n    bb,\n", 1));
        let edited = applied("-list! {\n …\n-    c,\n }\n").unwrap();
        assert_eq!(edited, LIST.replacen("list! {\n    a,\n    c,\n", "    a,\n", 1));
        assert!(applied(" list! {\n-    b,\n").unwrap_err().to_string().contains("not in the file"));
    }

    #[test]
    fn what_says_not_where_is_refused() {
        for lines in ["", "+x\n", " a\n", " a\n*b\n+c\n", " a\n …\n+b\n", " …\n a\n+b\n"] {
            assert!(Insertion::parse(lines).is_err(), "{lines}");
        }
    }
}
