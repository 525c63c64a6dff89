//! Names and words that are derived from the specified names.

use heck::ToUpperCamelCase as _;

use crate::domain::names;
use crate::domain::spec::Spec;

/// `BlogPost` of `blog_post`.
pub(super) fn type_of(name: &str) -> String {
    name.to_upper_camel_case()
}

/// `blog post` of `blog_post`.
pub(crate) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// The route, with hyphens as in the rest of the API.
pub(crate) fn route(spec: &Spec) -> String {
    format!("/api/v1/{}", spec.plural.replace('_', "-"))
}

pub(super) fn words_of_plural(spec: &Spec) -> String {
    words(&spec.plural)
}

pub(super) fn article(words: &str) -> &'static str {
    if words.starts_with(['a', 'e', 'i', 'o']) || words.starts_with("un") { "an" } else { "a" }
}

pub(super) fn capital_article(words: &str) -> &'static str {
    if article(words) == "an" { "An" } else { "A" }
}

pub(super) fn list(words: &[String], and: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// The struct with the operations is named by the plural; if that equals the singular, with a suffix.
pub(super) fn service_type(spec: &Spec) -> String {
    let plural = type_of(&spec.plural);
    if plural == type_of(&spec.name) { format!("{plural}Service") } else { plural }
}

/// A field with the name of a keyword gets an underscore at its end.
pub(super) fn ident(name: &str) -> String {
    if names::is_keyword(name) { format!("{name}_") } else { name.to_owned() }
}
