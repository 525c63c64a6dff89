//! The table of keys as people read it: in a terminal and in `docs/configuration.md`.

use std::fmt::Write as _;

use super::keys::{KEYS, Key};

/// What follows `ashlar config --help`.
#[must_use]
pub fn terminal() -> String {
    let mut text = String::from("Keys, the variables that set them, and their defaults:\n");
    for key in KEYS {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n  {}  ({})\n      {}\n      {}; default {}\n",
            key.name,
            names(key).join(", "),
            key.meaning,
            key.expected(),
            key.default_text().replace('`', "")
        );
    }
    text
}

/// The end of `docs/configuration.md`: everything from its first line on is generated.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("## Every key\n");
    let mut section = None;
    for key in KEYS {
        if section != Some(key.section()) {
            section = Some(key.section());
            let title = if key.section().is_empty() { "At the top" } else { key.section() };
            let _ =
                write!(text, "\n### {title}\n\n| key | variable | default | meaning |\n|---|---|---|---|\n");
        }
        let names: Vec<_> = names(key).iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} Accepts {}. |",
            key.name,
            names.join(", "),
            key.default_text().replace('|', "\\|"),
            key.meaning,
            key.expected().replace('|', "\\|").replace('<', "&lt;")
        );
    }
    text
}

fn names(key: &Key) -> Vec<String> {
    [key.variable()].into_iter().chain(key.plain.map(str::to_owned)).collect()
}
