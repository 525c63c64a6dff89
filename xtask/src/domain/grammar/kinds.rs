//! The types of fields: their words, and what stands behind the `=`.

use std::collections::BTreeSet;

use super::nearest::nearest;
use crate::domain::names;
use crate::domain::spec::Kind;

/// The words for the types.
pub(crate) const TYPES: [&str; 16] = [
    "string",
    "text",
    "bool",
    "int",
    "bigint",
    "decimal",
    "float",
    "date",
    "timestamp",
    "uuid",
    "json",
    "email",
    "url",
    "enum",
    "ref",
    "upload",
];

/// How many choices an `enum` may have.
const MOST_CHOICES: usize = 50;

impl Kind {
    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Decimal { .. } => "decimal",
            Self::Float => "float",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Email => "email",
            Self::Url => "url",
            Self::Enum(_) => "enum",
            Self::Ref(_) => "ref",
            Self::Upload => "upload",
        }
    }
}

/// A type, and what a `bool` is when it is absent: `bool=false`.
pub(super) fn parse(text: &str) -> Result<(Kind, Option<String>), String> {
    let (word, argument) = text.split_once('=').map_or((text, None), |(word, rest)| (word, Some(rest)));
    if word == "bool" {
        return Ok((Kind::Bool, argument.map(str::to_owned)));
    }
    Ok((with_argument(word, argument)?, None))
}

fn with_argument(word: &str, argument: Option<&str>) -> Result<Kind, String> {
    match (word, argument) {
        ("decimal", Some(digits)) => decimal(digits),
        ("enum", Some(choices)) => choice(choices),
        ("ref", Some(target)) => reference(target),
        ("decimal", None) => {
            Err("a decimal says how many digits it has in all and after the point: write `decimal=10,2`"
                .into())
        }
        ("enum", None) => Err("an enum says what it may be: write `enum=news,essay,note`".into()),
        ("ref", None) => Err("a reference says which domain it refers to: write `ref=user`".into()),
        (_, None) => plain(word),
        (_, Some(value)) => {
            plain(word)?;
            Err(format!(
                "`{word}` has nothing behind it: write `{word}`, and `:default={value}` if `{value}` is what it is when absent"
            ))
        }
    }
}

fn plain(word: &str) -> Result<Kind, String> {
    Ok(match word {
        "string" => Kind::String,
        "text" => Kind::Text,
        "int" => Kind::Int,
        "bigint" => Kind::BigInt,
        "float" => Kind::Float,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        "uuid" => Kind::Uuid,
        "json" => Kind::Json,
        "email" => Kind::Email,
        "url" => Kind::Url,
        "upload" => Kind::Upload,
        _ => return Err(unknown(word)),
    })
}

/// What types are called in other tools, and what to write here.
const ELSEWHERE: [(&[&str], &str); 10] = [
    (&["boolean"], "write `bool`"),
    (&["integer", "i32", "number"], "write `int`, or `bigint` for more than 2,147,483,647"),
    (&["i64", "long", "biginteger"], "write `bigint`"),
    (&["double", "real", "f64"], "write `float`, or `decimal=10,2` for what is counted exactly"),
    (&["money", "numeric", "currency"], "write `decimal=12,2`"),
    (&["varchar", "char", "str"], "write `string:1..200`"),
    (&["slug"], "write `string:1..100:unique`; who makes it out of a title is code of your own"),
    (&["datetime", "timestamptz"], "write `timestamp`"),
    (&["references", "reference", "belongs_to", "fk"], "write `ref=post` with the name of the other domain"),
    (&["file", "image", "attachment", "blob"], "write `upload`"),
];

fn unknown(word: &str) -> String {
    let all = TYPES.join(", ");
    if word.is_empty() {
        return format!("the type is missing: write one of {all} behind the name and a colon");
    }
    if let Some((_, hint)) = ELSEWHERE.iter().find(|(names, _)| names.contains(&word)) {
        return format!("there is no type `{word}`: {hint}; the types are {all}");
    }
    if word.ends_with("[]") {
        return format!(
            "there is no type `{word}`, and no lists: several values are a domain of their own that refers to this one, or written by \
             hand (docs/adding-a-domain.md)"
        );
    }
    match nearest(word, &TYPES) {
        Some(near) => {
            format!("there is no type `{word}`: write `{near}` if you meant that; the types are {all}")
        }
        None => format!("there is no type `{word}`: write one of {all}"),
    }
}

fn decimal(digits: &str) -> Result<Kind, String> {
    let numbers =
        digits.split_once(',').and_then(|(all, after)| Some((all.parse().ok()?, after.parse().ok()?)));
    match numbers {
        Some((precision @ 1..=15, scale)) if scale <= precision => Ok(Kind::Decimal { precision, scale }),
        _ => Err(format!(
            "`decimal={digits}` can't be: write `decimal=P,S` with P digits in all, 1 to 15, of which S, at most P, stand after the point, as in `decimal=10,2`"
        )),
    }
}

fn choice(text: &str) -> Result<Kind, String> {
    let choices: Vec<&str> = text.split(',').collect();
    if text.is_empty() {
        return Err("an enum has at least one choice: write `enum=news,essay,note`".into());
    }
    if choices.len() > MOST_CHOICES {
        return Err(format!(
            "an enum has at most {MOST_CHOICES} choices, and this one has {}: make the choices a domain of their own and refer to it",
            choices.len()
        ));
    }
    let mut variants = BTreeSet::new();
    for choice in &choices {
        names::check(choice, names::LONGEST)?;
        if *choice == "self" {
            return Err("the choice `self` has no name in Rust: write another".into());
        }
        // `v1` and `v_1` would be one variant.
        if !variants.insert(names::pascal(choice)) {
            return Err(format!(
                "the choice `{choice}` is there already, perhaps with other underscores: leave it out"
            ));
        }
    }
    Ok(Kind::Enum(choices.into_iter().map(str::to_owned).collect()))
}

fn reference(target: &str) -> Result<Kind, String> {
    if target == "upload" {
        return Err("a file is no reference: write the type `upload`, which also checks whose the file is and shows its URL".into());
    }
    names::check(target, names::LONGEST)?;
    Ok(Kind::Ref(target.to_owned()))
}
