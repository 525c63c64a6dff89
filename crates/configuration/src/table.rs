//! All keys: the known names, and the reference for the terminal and for `docs/configuration.md`.

use std::fmt::Write as _;

use crate::row::Row;

/// The table of all keys of a program.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name of the program, in lower case and with hyphens, for the file, the prefix of variables, and advice.
    pub(crate) program: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// Prefix of all variables of a program, without hyphens, which shells do not accept.
pub(crate) fn prefix(program: &str) -> String {
    format!("{}_", program.replace('-', "_").to_ascii_uppercase())
}

/// The variable that sets the key of this name: of `database.url` and the program `shop`, `SHOP_DATABASE__URL`.
#[must_use]
pub fn variable(program: &str, name: &str) -> String {
    prefix(program) + &name.replace('.', "__").to_ascii_uppercase()
}

/// The candidate that `name` was probably meant to be: the nearest by edit distance.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let distance = |candidate: &String| strsim::damerau_levenshtein(name, candidate);
    let nearest = candidates.min_by_key(distance)?;
    (distance(&nearest) <= name.len() / 3).then_some(nearest)
}

impl Table {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.name == name)
    }

    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.section() == name)
    }

    /// The reference for `config --help`.
    #[must_use]
    pub fn terminal(&self) -> String {
        let mut text = String::from("Keys, the variables that set them, and their defaults:\n");
        for row in &self.rows {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n  {}  ({})\n      {}\n      {}; default {}\n",
                row.name,
                row.variables().join(", "),
                row.meaning,
                row.expected,
                row.default_text().replace('`', "")
            );
        }
        text
    }

    /// The reference at the end of `docs/configuration.md`, which is generated from its first line on.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from("## Every key\n");
        let mut section = None;
        for row in &self.rows {
            if section != Some(row.section()) {
                section = Some(row.section());
                let title = if row.section().is_empty() { "At the top" } else { row.section() };
                let _ = write!(
                    text,
                    "\n### {title}\n\n| key | variable | default | meaning |\n|---|---|---|---|\n"
                );
            }
            let names: Vec<_> = row.variables().iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} Accepts {}. |",
                row.name,
                names.join(", "),
                row.default_text().replace('|', "\\|"),
                row.meaning,
                row.expected.replace('|', "\\|").replace('<', "&lt;")
            );
        }
        text
    }
}
