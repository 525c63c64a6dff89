//! The rules on names, and conversions between their forms.

use heck::ToUpperCamelCase as _;

/// Greatest length of the name of a domain, a field or a choice.
pub(crate) const LONGEST: usize = 30;

/// The keywords of Rust in all editions, including reserved ones. They can't be names of crates.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield", "union",
];

/// Whether this is a keyword of Rust.
pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// Rejects an invalid name, and suggests a valid one.
pub(crate) fn check(name: &str, longest: usize) -> Result<(), String> {
    if is_name(name, longest) {
        return Ok(());
    }
    let form = format!(
        "lowercase ASCII letters, digits and single underscores, a letter first, at most {longest} characters"
    );
    let likely = snake(name);
    let hint =
        if is_name(&likely, longest) { format!("write `{likely}`") } else { "write another".to_owned() };
    Err(format!("`{name}` is not a valid name: {hint} ({form})"))
}

fn is_name(name: &str, longest: usize) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(known)
        && !name.contains("__")
        && !name.ends_with('_')
        && name.len() <= longest
}

/// `BlogPost`, `blog-post` and `Blog Post` as `blog_post`.
pub(crate) fn snake(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push('_');
        }
        words.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    words.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// `blog_post` as `BlogPost`.
pub(crate) fn pascal(name: &str) -> String {
    name.to_upper_camel_case()
}

/// The constant that `derive(DomainError)` generates for a variant: `NotFound` is `NOT_FOUND`.
pub(crate) fn constant_of(variant: &str) -> String {
    let mut constant = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.extend(letter.to_uppercase());
    }
    constant
}

/// `blog post` as `Blog post`.
pub(crate) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_snake_case_ascii() {
        for name in ["a", "post", "blog_post", "v2", "a1_b2", "type"] {
            assert_eq!(check(name, LONGEST), Ok(()), "{name}");
        }
        let long = "a".repeat(31);
        for name in ["", "_a", "a_", "a__b", "1a", "Ä", "größe", "a b", "a-b", "A", "a.b", long.as_str()] {
            assert!(check(name, LONGEST).is_err(), "{name}");
        }
    }

    #[test]
    fn the_name_that_was_meant_is_told() {
        let told = |name| check(name, LONGEST).unwrap_err();
        assert_eq!(
            told("BlogPost"),
            "`BlogPost` is not a valid name: write `blog_post` (lowercase ASCII letters, digits and single underscores, a letter first, at most 30 characters)"
        );
        assert!(told("blog-post").contains("write `blog_post`"));
        assert!(told("blog__post_").contains("write `blog_post`"));
        assert!(
            told("2nd").starts_with("`2nd` is not a valid name: write another (lowercase ASCII letters,")
        );
    }

    #[test]
    fn types_are_named_in_pascal_case() {
        assert_eq!(pascal("blog_post"), "BlogPost");
        assert_eq!(pascal("v2_x"), "V2X");
    }

    #[test]
    fn constants_are_named_as_the_derive_names_them() {
        for (variant, constant) in
            [("NotFound", "NOT_FOUND"), ("V2XTaken", "V2_X_TAKEN"), ("ABTaken", "A_B_TAKEN")]
        {
            assert_eq!(constant_of(variant), constant);
        }
    }
}
