//! The three letters that the ids of a domain start with.

use std::collections::BTreeSet;

use super::refusal::{Refusal, refuse};

/// Prefixes that the workspace reserves for itself, in use or not.
pub(crate) const KEPT: [&str; 6] = ["evt", "key", "req", "ses", "upl", "usr"];

/// The requested prefix, or the best unused one.
pub(crate) fn choose(name: &str, asked: Option<&str>, taken: &BTreeSet<String>) -> Result<String, Refusal> {
    let free = |prefix: &String| !taken.contains(prefix) && !KEPT.contains(&prefix.as_str());
    let Some(asked) = asked.map(str::to_owned) else {
        return candidates(name)
            .find(free)
            .ok_or_else(|| Refusal::new("every prefix of three letters is in use"));
    };
    if asked.len() != 3 || !asked.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return refuse(format!(
            "`{asked}` is not a prefix: write three lowercase letters, as in `--prefix pst`"
        ));
    }
    if !free(&asked) {
        let hint = candidates(name).find(free).unwrap_or_default();
        return refuse(format!(
            "the prefix `{asked}` is in use: write another, such as `--prefix {hint}`, or omit it"
        ));
    }
    Ok(asked)
}

/// All prefixes, the best for this name first: its first letter with consonants, then with any of its letters, then all others.
pub(crate) fn candidates(name: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = name.chars().filter(char::is_ascii_lowercase).collect();
    let first = letters.first().copied().unwrap_or('a');
    let rest = letters.get(1..).unwrap_or_default().to_vec();
    let own = pairs(&rest).into_iter().map(move |(a, b)| [first, a, b]);
    let half = rest.into_iter().flat_map(move |a| ('a'..='z').map(move |b| [first, a, b]));
    let loose = ('a'..='z').flat_map(move |a| ('a'..='z').map(move |b| [first, a, b]));
    let any = ('a'..='z').flat_map(|a| ('a'..='z').flat_map(move |b| ('a'..='z').map(move |c| [a, b, c])));
    own.chain(half).chain(loose).chain(any).map(|letters| letters.iter().collect())
}

/// Two of the letters in their order: two consonants before a consonant and a vowel, and so on.
fn pairs(letters: &[char]) -> Vec<(char, char)> {
    let pairs_from = |(at, a): (usize, &char)| {
        let a = *a;
        letters.iter().skip(at + 1).map(move |b| (a, *b)).collect::<Vec<_>>()
    };
    let mut pairs: Vec<(char, char)> = letters.iter().enumerate().flat_map(pairs_from).collect();
    // A stable sort: among equals, what stands further in front stays in front.
    pairs.sort_by_key(|(a, b)| (is_vowel(*a), is_vowel(*b)));
    pairs
}

fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(prefixes: &[&str]) -> BTreeSet<String> {
        prefixes.iter().map(|&prefix| prefix.to_owned()).collect()
    }

    fn chosen(name: &str, used: &[&str]) -> String {
        choose(name, None, &taken(used)).unwrap()
    }

    #[test]
    fn it_is_made_of_the_name() {
        let pairs =
            [("post", "pst"), ("note", "nte"), ("category", "ctg"), ("blog_post", "blg"), ("area", "are")];
        for (name, prefix) in pairs {
            assert_eq!(chosen(name, &[]), prefix);
        }
    }

    #[test]
    fn short_names_have_one_too() {
        assert_eq!(chosen("ox", &[]), "oxa");
        assert_eq!(chosen("a", &[]), "aaa");
        assert_eq!(chosen("a1", &["aaa"]), "aab");
    }

    #[test]
    fn one_that_is_taken_or_kept_gives_way_to_the_next() {
        assert_eq!(chosen("post", &["pst"]), "pos");
        assert_eq!(chosen("event", &[]), "evn");
        assert_eq!(chosen("user", &[]), "use");
    }

    #[test]
    fn however_many_are_taken_there_is_one_left() {
        let mut used = BTreeSet::new();
        for _ in 0..500 {
            assert!(used.insert(choose("post", None, &used).unwrap()));
        }
    }

    #[test]
    fn an_asked_one_has_to_be_free_and_of_three_letters() {
        assert_eq!(choose("post", Some("abc"), &taken(&[])).unwrap(), "abc");
        let told = |asked| choose("post", Some(asked), &taken(&["abc"])).unwrap_err().to_string();
        assert_eq!(
            told("abc"),
            "the prefix `abc` is in use: write another, such as `--prefix pst`, or omit it"
        );
        assert!(told("usr").contains("is in use"));
        for wrong in ["ab", "abcd", "ABC", "a1b", "äb"] {
            assert!(told(wrong).contains("is not a prefix"), "{wrong}");
        }
    }
}
