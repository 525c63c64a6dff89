//! Lines of shared files that belong to a domain that was written by hand, marked by comments with its name.
//!
//! The comments have the syntax of the file. For a domain `shop`: `domain: shop` and `end: shop`, each in a comment on a line of its
//! own, mark the lines between them; `domain: shop` in a comment at the end of a line marks only that line, such as a row of a table or
//! a name in a list. Comments start with `//` or `#`, or are those of HTML in Markdown.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Result, bail};

use super::names;
use super::survey::Survey;
use crate::workspace::Workspace;

/// Lines of a text, counted from 0, the comments around them included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// The domain to which they belong.
    pub(crate) domain: String,
    lines: RangeInclusive<usize>,
}

/// A comment with the name of a domain.
struct Marker<'a> {
    domain: &'a str,
    is_end: bool,
    /// It is at the end of a line with other text.
    is_behind: bool,
}

/// The marked lines of a file.
///
/// # Errors
///
/// A region is not closed, is closed twice, or begins within another; the message has the file and the line.
pub(crate) fn find(path: &Path, text: &str) -> Result<Vec<Region>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let Some(Marker { domain, is_end, is_behind }) = marker(line) else { continue };
        let place = format!("{}:{}", path.display(), number + 1);
        let start = match (open, is_end) {
            (None, false) if is_behind => number,
            (None, false) => {
                open = Some((number, domain));
                continue;
            }
            (Some((start, opened)), true) if opened == domain && !is_behind => start,
            (Some((start, opened)), false) => bail!(
                "{place}: lines of `{domain}` begin within those of `{opened}`, which begin in line {}: end these first",
                start + 1
            ),
            (_, true) => bail!("{place}: lines of `{domain}` end here, but do not begin before"),
        };
        open = None;
        found.push(Region { domain: domain.to_owned(), lines: start..=number });
    }
    if let Some((start, domain)) = open {
        bail!("{}:{}: lines of `{domain}` begin here, but do not end", path.display(), start + 1);
    }
    Ok(found)
}

/// The text without the lines of a domain; `None` if it has none.
///
/// # Errors
///
/// As for [`find`].
pub(crate) fn without(path: &Path, text: &str, domain: &str) -> Result<Option<String>> {
    let mut regions = find(path, text)?;
    regions.retain(|region| region.domain == domain);
    if regions.is_empty() {
        return Ok(None);
    }
    let mut kept: Vec<&str> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if regions.iter().any(|region| region.lines.contains(&number)) {
            continue;
        }
        let is_first_behind = number
            .checked_sub(1)
            .is_some_and(|before| regions.iter().any(|region| *region.lines.end() == before));
        // Otherwise the empty lines before and after the removed lines would be two.
        let is_double = line.is_empty() && is_first_behind && kept.last().is_none_or(|last| last.is_empty());
        if !is_double {
            kept.push(line);
        }
    }
    while kept.last().is_some_and(|last| last.is_empty()) {
        kept.pop();
    }
    Ok(Some(kept.iter().flat_map(|line| [line, "\n"]).collect()))
}

/// Only the marked lines of a domain.
///
/// # Errors
///
/// As for [`find`].
pub(crate) fn only(path: &Path, text: &str, domain: &str) -> Result<Vec<String>> {
    let regions = find(path, text)?;
    let is_in = |number: &usize| {
        regions.iter().any(|region| region.domain == domain && region.lines.contains(number))
    };
    let lines = text.lines().enumerate().filter(|(number, _)| is_in(number));
    Ok(lines.map(|(_, line)| line.to_owned()).collect())
}

/// A sentence for each file whose marked lines are not closed, or belong to a domain without a record, which can't be removed.
///
/// # Errors
///
/// The workspace can't be read.
pub(crate) fn broken(workspace: &Workspace) -> Result<Vec<String>> {
    let survey = Survey::of(&workspace.root)?;
    let mut sentences = Vec::new();
    for path in workspace.files()? {
        let Some(text) = workspace.text(&path)? else { continue };
        match find(&path, &text) {
            Err(error) => sentences.push(error.to_string()),
            Ok(regions) => sentences.extend(regions.iter().filter_map(|region| {
                let Region { domain, lines } = region;
                let has_record = survey.hand_written.contains_key(domain);
                (!has_record).then(|| {
                    format!(
                        "{}:{}: lines are marked as those of `{domain}`, but there is no domain of that name with a crates/{domain}/domain.toml that was written by hand: correct the name, or write the record.",
                        path.display(),
                        lines.start() + 1
                    )
                })
            })),
        }
    }
    Ok(sentences)
}

fn marker(line: &str) -> Option<Marker<'_>> {
    let line = line.trim_end();
    let (before, comment) = match line.strip_suffix("-->") {
        Some(open) => open.rsplit_once("<!--")?,
        None => line.rsplit_once("//").or_else(|| line.rsplit_once('#'))?,
    };
    let comment = comment.strip_prefix(' ')?.trim_end();
    let (domain, is_end) = match comment.strip_prefix("domain: ") {
        Some(domain) => (domain, false),
        None => (comment.strip_prefix("end: ")?, true),
    };
    let is_comment = before.is_empty() || before.ends_with([' ', '\t']);
    let is_marker = is_comment && names::check(domain, names::LONGEST).is_ok();
    is_marker.then(|| Marker { domain, is_end, is_behind: !before.trim().is_empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(text: &str) -> Option<String> {
        without(Path::new("a.rs"), text, "shop").unwrap()
    }

    fn told(text: &str) -> String {
        without(Path::new("docs/a.md"), text, "shop").unwrap_err().to_string()
    }

    #[test]
    fn marked_lines_go_in_the_syntax_of_each_file() {
        for [open, close] in [["// ", ""], ["# ", ""], ["<!-- ", " -->"]] {
            let text = format!("a\n  {open}domain: shop{close}\nb\n  {open}end: shop{close}\nc\n");
            assert_eq!(gone(&text).as_deref(), Some("a\nc\n"), "{text}");
            let text = format!("a\nb {open}domain: shop{close}\nc\n");
            assert_eq!(gone(&text).as_deref(), Some("a\nc\n"), "{text}");
        }
        let row = "| a | b |\n|---|---|\n| c | https://d | <!-- domain: shop -->\n| e | f |\n";
        assert_eq!(gone(row).as_deref(), Some("| a | b |\n|---|---|\n| e | f |\n"));
    }

    #[test]
    fn an_empty_line_is_left_where_there_were_two() {
        let region = "// domain: shop\nb\n\n\nb\n// end: shop\n";
        for (text, left) in [
            (format!("a\n\n{region}\nc\n"), "a\n\nc\n"),
            (format!("a\n{region}\nc\n"), "a\n\nc\n"),
            (format!("a\n\n{region}c\n"), "a\n\nc\n"),
            (format!("{region}\nc\n"), "c\n"),
            (format!("a\n\n{region}"), "a\n"),
            (format!("a\n\n{region}\n{region}\nc\n"), "a\n\nc\n"),
        ] {
            assert_eq!(gone(&text).as_deref(), Some(left), "{text}");
        }
    }

    #[test]
    fn what_belongs_to_another_domain_or_to_none_stays() {
        for text in ["a\n", "a // domain: other\nb\n", "# domain: other\nb\n# end: other\n"] {
            assert_eq!(gone(text), None, "{text}");
        }
        for text in [
            "the domain: shop",
            "//domain: shop",
            "// domain: shop and more",
            "// domain: Shop",
            "`// domain: shop`",
            "http:// domain: shop",
            "// domain:",
            "\"// domain: shop\",",
        ] {
            assert_eq!(gone(&format!("a\n{text}\nb\n")), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_or_is_within_another_is_told_with_its_line() {
        for (text, sentence) in [
            ("a\n# domain: shop\nb\n", "docs/a.md:2: lines of `shop` begin here, but do not end"),
            ("a\n# end: shop\n", "docs/a.md:2: lines of `shop` end here, but do not begin before"),
            (
                "# domain: shop\n# domain: other\n# end: other\n# end: shop\n",
                "docs/a.md:2: lines of `other` begin within those of `shop`, which begin in line 1: end these first",
            ),
            (
                "# domain: other\nb # domain: other\n# end: other\n",
                "docs/a.md:2: lines of `other` begin within those of `other`, which begin in line 1: end these first",
            ),
            (
                "# domain: shop\n# end: other\n# end: shop\n",
                "docs/a.md:2: lines of `other` end here, but do not begin before",
            ),
            (
                "# domain: shop\nb # end: shop\n",
                "docs/a.md:2: lines of `shop` end here, but do not begin before",
            ),
        ] {
            assert_eq!(told(text), sentence, "{text}");
        }
    }

    #[test]
    fn the_marked_lines_can_be_looked_at_alone() {
        let text = "a\n# domain: shop\nb\n# end: shop\nc\nd # domain: shop\ne # domain: other\n";
        let lines = only(Path::new("a"), text, "shop").unwrap();
        assert_eq!(lines, ["# domain: shop", "b", "# end: shop", "d # domain: shop"]);
    }
}
