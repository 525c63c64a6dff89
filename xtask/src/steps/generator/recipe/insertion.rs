//! Lines that are added to a file, as a page shows them to people: like a diff, without numbers.
//!
//! A line that starts with a space is there already, one that starts with `+` is added behind it. ` …` stands for any lines, so that a
//! list may be longer than the page knows.

use anyhow::{Context as _, Result, bail};

/// Lines to be added, and those that say where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Insertion(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// A line that is there.
    Kept(String),
    /// Any lines, or none.
    Gap,
    /// A line that is added.
    Added(String),
}

impl Insertion {
    /// Reads the lines of a block.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts = text.lines().map(part).collect::<Result<Vec<_>>>()?;
        let ends_open = parts.iter().rev().find(|part| !matches!(part, Part::Added(_))) == Some(&Part::Gap);
        if !matches!(parts.first(), Some(Part::Kept(_))) || ends_open {
            bail!("added lines stand behind a line that is there, and behind … stands one, too");
        }
        if !parts.iter().any(|part| matches!(part, Part::Added(_))) {
            bail!("no line is added");
        }
        Ok(Self(parts))
    }

    /// The text with the lines added.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut found = (0..lines.len()).filter_map(|start| self.places(&lines, start));
        let places = found.next().context("the lines that say where are not there")?;
        if found.next().is_some() {
            bail!("the lines that say where are there more than once");
        }
        let mut edited: Vec<&str> = lines;
        for (at, line) in places.into_iter().rev() {
            edited.insert(at, line);
        }
        Ok(edited.join("\n") + "\n")
    }

    /// In front of which lines the added ones go, if the first part is the line at `start`.
    fn places<'a>(&'a self, lines: &[&str], start: usize) -> Option<Vec<(usize, &'a str)>> {
        let (mut at, mut in_gap) = (start, false);
        let (mut places, mut waiting) = (Vec::new(), Vec::new());
        for part in &self.0 {
            match part {
                Part::Gap => in_gap = true,
                Part::Added(line) if in_gap => waiting.push(line.as_str()),
                Part::Added(line) => places.push((at, line.as_str())),
                Part::Kept(line) => {
                    let rest = lines.get(at..)?;
                    at += if in_gap { rest.iter().position(|other| other == line)? } else { 0 };
                    lines.get(at).filter(|other| *other == line)?;
                    places.extend(waiting.drain(..).map(|line| (at, line)));
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
        None => Ok(Part::Kept(String::new())),
        _ => bail!("`{line}` starts with neither a space nor +, and lines are only added"),
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
            (" nothing\n+x\n", "not there"),
            ("     a,\n+    b,\n", "more than once"),
            (" list! {\n     c,\n+x\n", "not there"),
        ] {
            let told = applied(lines).unwrap_err().to_string();
            assert!(told.contains(words), "{lines}: {told}");
        }
    }

    #[test]
    fn what_says_not_where_or_takes_away_is_refused() {
        for lines in ["", "+x\n", " a\n", " a\n-b\n+c\n", " a\n …\n+b\n", " …\n a\n+b\n"] {
            assert!(Insertion::parse(lines).is_err(), "{lines}");
        }
    }
}
