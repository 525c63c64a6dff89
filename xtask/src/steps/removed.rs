//! A product without the domains that were written by hand and can go, in a copy of the workspace: nothing names them any more but
//! what may.

use anyhow::{Result, bail};

use crate::domain::hand_written::HandWritten;
use crate::output::say;
use crate::workspace::Workspace;

/// Where the name of a domain that is gone may stand, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("docs/adr/", "decisions are history"),
    ("docs/generator-compared.md", "what was compared had them"),
    ("docs/measurements.md", "what was measured had them"),
    ("docs/generator.md", "a type of fields is called like the domain that it needs"),
    (
        "xtask/generator/",
        "so it is in the lists of domains to be tried, of which such fields are left out then",
    ),
    ("xtask/src/domain/", "so it is in the generator, which refuses it then"),
    ("xtask/src/steps/generator/", "so it is in the step that tries the generator"),
    ("xtask/src/workspace.rs", "so it is in the list of crates that are no domains"),
    ("xtask/templates/", "so it is in what the generator renders"),
];

/// What is made from the code, and only looked at where it was made again.
const MADE: [&str; 2] = ["docs/configuration.md", "docs/openapi.json"];

/// Fails when something in the copy names the domain, its tables or its crates, in whatever spelling.
pub(super) fn expect_gone(copy: &Workspace, record: &HandWritten, made_again: bool) -> Result<()> {
    let words = words(record);
    let mut left = Vec::new();
    for path in copy.files()? {
        let called = path.to_string_lossy().into_owned();
        let is_allowed = ALLOWED.iter().any(|(place, _)| called.starts_with(place));
        if is_allowed || (!made_again && MADE.contains(&called.as_str())) {
            continue;
        }
        let text = copy.text(&path)?.unwrap_or_default();
        let lines = std::iter::once(called.as_str()).chain(text.lines());
        let found = lines.enumerate().find(|(_, line)| names(line, &words));
        left.extend(found.map(|(number, line)| format!("{called}:{number}: {}", line.trim())));
    }
    for place in &left {
        say!("- {place}");
    }
    match left.first() {
        Some(first) => bail!(
            "{} file(s) still name `{}`, which was removed: give what is the domain's a file of its own, mark its lines (docs/generator.md), or say it without: {first}",
            left.len(),
            record.name
        ),
        None => Ok(()),
    }
}

/// The names of the domain, its tables and its crates, in every spelling.
fn words(record: &HandWritten) -> Vec<String> {
    let names = record.members().chain(&record.tables);
    names.flat_map(|name| ["-", "_", " ", ""].map(|sign| name.replace(['-', '_'], sign))).collect()
}

fn names(line: &str, words: &[String]) -> bool {
    let line = line.to_lowercase();
    words.iter().any(|word| line.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_seen_in_every_spelling() {
        let text = "made = \"by hand\"\nname = \"shop\"\ncrates = [\"price-port\"]\ntables = [\"shelves\"]\n";
        let words = words(&HandWritten::parse(text).unwrap().unwrap());
        for line in ["use shop::dto;", "SHOPS", "its Price Port", "price_port::x", "PricePort", "\"shelves\""]
        {
            assert!(names(line, &words), "{line}");
        }
        assert!(!names("a price, a shelf, a port", &words));
    }
}
