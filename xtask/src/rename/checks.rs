//! The rules on the name of a product.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::domain::refusal::{Refusal, refuse};
use crate::domain::{names, rules, survey};
use crate::product::Product;

/// Allowed lengths of the name, which is also the name of a bucket and of a process.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=30;

/// Greatest length of the title.
const LONGEST_TITLE: usize = 50;

/// Names of folders that cargo creates beside a binary.
const CARGOS: [&str; 3] = ["deps", "examples", "incremental"];

/// Prefixes of environment variables of other programs, or of our own variables without a prefix. The product does not start if a
/// variable with its prefix is not a setting.
const PREFIXES: [&str; 19] = [
    "aws",
    "browser",
    "cargo",
    "database",
    "docker",
    "git",
    "github",
    "gitlab",
    "kafka",
    "kubernetes",
    "log",
    "mail",
    "project",
    "redis",
    "rust",
    "secret",
    "ssh",
    "test",
    "xdg",
];

/// The product of this name, if the name is allowed.
///
/// # Errors
///
/// The [`Refusal`], or `Cargo.lock` cannot be read.
pub(super) fn product(root: &Path, name: &str, title: Option<&str>) -> Result<Product> {
    check_form(name)?;
    check_is_free(name, &survey::packages(root))?;
    let title = title.map_or_else(|| title_of(name), str::to_owned);
    check_title(&title)?;
    Ok(Product { name: name.to_owned(), title })
}

/// `tin-kettle` as `Tin Kettle`.
fn title_of(name: &str) -> String {
    name.split('-').map(names::capitalized).collect::<Vec<_>>().join(" ")
}

fn check_form(name: &str) -> Result<(), Refusal> {
    if is_form(name) {
        return Ok(());
    }
    let likely = kebab(name);
    let hint = if is_form(&likely) { format!("write `{likely}`") } else { "write another".to_owned() };
    refuse(format!(
        "`{name}` is not a valid name: {hint} (lowercase ASCII letters, digits and single hyphens, a letter first, {} to {} characters)",
        LENGTH.start(),
        LENGTH.end()
    ))
}

fn is_form(name: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(known)
        && !name.contains("--")
        && !name.ends_with('-')
        && LENGTH.contains(&name.len())
}

/// `Tin Kettle`, `tin_kettle` and `TinKettle` as `tin-kettle`.
fn kebab(name: &str) -> String {
    names::snake(name).replace('_', "-")
}

fn check_is_free(name: &str, packages: &BTreeSet<String>) -> Result<(), Refusal> {
    let snake = name.replace('-', "_");
    let taken = if names::is_keyword(&snake) {
        "is a keyword of Rust"
    } else if packages.contains(&snake) {
        "is the name of a package in Cargo.lock, and code could not distinguish the two"
    } else if rules::is_taken(&snake) || CARGOS.contains(&name) {
        "is a reserved name (the workspace, Rust or an operating system uses it)"
    } else if PREFIXES.contains(&name) {
        return refuse(format!(
            "other environment variables begin with `{}_`, so the product would refuse to start if they are set: choose another name",
            name.to_uppercase()
        ));
    } else {
        return Ok(());
    };
    refuse(format!("`{name}` {taken}: choose another name for the product"))
}

/// The title is written into code, JSON, Markdown and the headers of mails, and must be found there by the next renaming.
fn check_title(title: &str) -> Result<(), Refusal> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    let begins = title.starts_with(|c: char| c.is_ascii_uppercase());
    if begins && title.split(' ').all(is_word) && title.len() <= LONGEST_TITLE {
        return Ok(());
    }
    refuse(format!(
        "`{title}` can't be the title: a capital letter first, then ASCII letters, digits and single spaces, at most {LONGEST_TITLE} characters; what people see of a running product may be anything, by the setting `project_name`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refused: Result<(), Refusal>) -> String {
        refused.unwrap_err().to_string()
    }

    #[test]
    fn a_name_is_kebab_case_ascii() {
        for name in ["abc", "tin-kettle", "v2x", "a1-b2-c3", &"a".repeat(30)] {
            assert_eq!(check_form(name), Ok(()), "{name}");
        }
        let long = "a".repeat(31);
        for name in
            ["", "ab", "-abc", "abc-", "a--bc", "1abc", "ABC", "größe", "a b c", "a_bc", "a.bc", &long]
        {
            assert!(check_form(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_name_that_was_meant_is_told() {
        for name in ["Tin Kettle", "TinKettle", "tin_kettle"] {
            assert!(told(check_form(name)).contains("write `tin-kettle`"), "{name}");
        }
        assert!(told(check_form("two--words-")).contains("write `two-words`"));
        assert_eq!(
            told(check_form("2nd")),
            "`2nd` is not a valid name: write another (lowercase ASCII letters, digits and single hyphens, a letter first, 3 to 30 characters)"
        );
    }

    #[test]
    fn a_name_that_something_else_has_is_refused() {
        let packages = BTreeSet::from(["serde_json".to_owned(), "user".to_owned()]);
        for (name, why) in [
            ("match", "a keyword of Rust"),
            ("serde-json", "a package in Cargo.lock"),
            ("user", "a package in Cargo.lock"),
            ("server", "a reserved name"),
            ("shared-kernel", "a reserved name"),
            ("deps", "a reserved name"),
            ("cargo", "begin with `CARGO_`"),
            ("secret", "begin with `SECRET_`"),
            ("project", "begin with `PROJECT_`"),
        ] {
            let refused = told(check_is_free(name, &packages));
            assert!(refused.contains(why), "{refused}");
        }
        // Its variables begin with `GIT_GARDEN_`.
        for name in ["tin-kettle", "git-garden"] {
            assert_eq!(check_is_free(name, &packages), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_title_follows_from_the_name_or_is_said() {
        assert_eq!(title_of("tin-kettle-2"), "Tin Kettle 2");
        for title in ["Tin Kettle", "ACME", "The House of 7"] {
            assert_eq!(check_title(title), Ok(()), "{title}");
        }
        for title in ["", "acme", "Tin  Kettle", "Tin Kettle ", "Tin-Kettle", "Café", "A & B", "7 Up", "A\nB"]
        {
            assert!(check_title(title).is_err(), "{title}");
        }
    }
}
