//! Unused names for the test domains of the generator, in any workspace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use super::plural::plural;
use super::rules;
use super::survey::Survey;

/// Alternative names of a test domain whose name is in use.
const SPARE: [&str; 3] = ["", "spare_", "other_"];

/// For each of these names an unused one: the name itself, if it is unused.
///
/// # Errors
///
/// The workspace cannot be read, or all alternative names are in use.
pub(crate) fn names(root: &Path, wanted: &[&str]) -> Result<BTreeMap<String, String>> {
    let survey = Survey::of(root)?;
    let mut names = BTreeMap::new();
    for name in wanted {
        let mut candidates = SPARE.iter().map(|prefix| format!("{prefix}{name}"));
        let free = candidates.find(|candidate| rules::is_free(candidate, &plural(candidate), &survey));
        match free {
            Some(free) => names.insert((*name).to_owned(), free),
            None => bail!("all tried names for a domain like `{name}` are taken"),
        };
    }
    Ok(names)
}

/// The command line with these names for the domain and for those to which its fields refer or on which it builds.
pub(crate) fn renamed(line: &str, names: &BTreeMap<String, String>) -> String {
    let name = |word: &str| names.get(word).cloned().unwrap_or_else(|| word.to_owned());
    let part = |part: &str| match part.strip_prefix("ref=") {
        Some(target) => format!("ref={}", name(target)),
        None => part.to_owned(),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |(index, word): (usize, &&str)| match index.checked_sub(1).map(|before| words[before]) {
        None => name(word),
        Some("--on") => word.split(',').map(name).collect::<Vec<_>>().join(","),
        Some(_) => word.split(':').map(part).collect::<Vec<_>>().join(":"),
    };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_where_domains_are_meant() {
        let names = [("order".to_owned(), "spare_order".to_owned()), ("item".to_owned(), "item".to_owned())];
        let line =
            "order order:string parent:ref=order:optional item:ref=item a:enum=order,item --public-read";
        let wanted = "spare_order order:string parent:ref=spare_order:optional item:ref=item a:enum=order,item --public-read";
        let names = names.into();
        assert_eq!(renamed(line, &names), wanted);
        assert_eq!(renamed("pick --on order,item", &names), "pick --on spare_order,item");
    }
}
