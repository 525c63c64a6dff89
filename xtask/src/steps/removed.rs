//! Checks a copy of the workspace from which the removable domains that were written by hand were removed: only allowed files still
//! mention them.

use anyhow::{Result, bail};

use crate::domain::hand_written::HandWritten;
use crate::output::say;
use crate::workspace::Workspace;

/// Paths in which the name of a removed domain may remain, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("docs/adr/", "decisions are history"),
    ("docs/generator-compared.md", "the compared generators have them"),
    ("docs/measurements.md", "the measured product had them"),
    ("docs/generator.md", "a type of fields has the name of the domain that it needs"),
    ("xtask/generator/", "so it is in the lists of test domains, from which such fields are then omitted"),
    ("xtask/src/domain/", "so it is in the generator, which then rejects it"),
    ("xtask/src/steps/generator/", "so it is in the step that tests the generator"),
    ("xtask/src/workspace.rs", "so it is in the list of crates that are not domains"),
    ("xtask/templates/", "so it is in the templates"),
];

/// Files that are generated from the code, and only checked if they were generated again.
const GENERATED: [&str; 2] = ["docs/configuration.md", "docs/openapi.json"];

/// Fails if a file of the copy mentions the domain, its tables or its crates, in any spelling.
pub(super) fn expect_gone(copy: &Workspace, record: &HandWritten, made_again: bool) -> Result<()> {
    let words = words(record);
    let mut left = Vec::new();
    for path in copy.files()? {
        let called = path.to_string_lossy().into_owned();
        let is_allowed = ALLOWED.iter().any(|(place, _)| called.starts_with(place));
        if is_allowed || (!made_again && GENERATED.contains(&called.as_str())) {
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
            "{} file(s) still mention `{}`, which was removed: move the domain's part into a file of its own, mark its lines (docs/generator.md), or rephrase the text: {first}",
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
