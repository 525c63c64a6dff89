//! The types of fields: their keywords, and the argument after the `=`.

use std::collections::BTreeSet;

use super::nearest::nearest;
use crate::domain::names;
use crate::domain::spec::Kind;

/// The keywords of the types.
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

/// Greatest number of choices of an `enum`.
const MOST_CHOICES: usize = 50;

impl Kind {
    /// Its keyword.
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

/// A type, and the default of a `bool`: `bool=false`.
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
            Err("a decimal needs its number of digits in total and after the point: write `decimal=10,2`"
                .into())
        }
        ("enum", None) => Err("an enum needs its values: write `enum=news,essay,note`".into()),
        ("ref", None) => Err("a reference needs the domain that it refers to: write `ref=user`".into()),
        (_, None) => plain(word),
        (_, Some(value)) => {
            plain(word)?;
            Err(format!(
                "`{word}` has no argument: write `{word}`, and `:default={value}` if `{value}` is the default"
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

/// Names of types in other tools, with the equivalent here.
const ELSEWHERE: [(&[&str], &str); 10] = [
    (&["boolean"], "write `bool`"),
    (&["integer", "i32", "number"], "write `int`, or `bigint` for more than 2,147,483,647"),
    (&["i64", "long", "biginteger"], "write `bigint`"),
    (&["double", "real", "f64"], "write `float`, or `decimal=10,2` for exact numbers"),
    (&["money", "numeric", "currency"], "write `decimal=12,2`"),
    (&["varchar", "char", "str"], "write `string:1..200`"),
    (&["slug"], "write `string:1..100:unique`, and derive it from a title by hand (docs/adding-a-domain.md)"),
    (&["datetime", "timestamptz"], "write `timestamp`"),
    (&["references", "reference", "belongs_to", "fk"], "write `ref=post` with the name of the other domain"),
    (&["file", "image", "attachment", "blob"], "write `upload`"),
];

fn unknown(word: &str) -> String {
    let all = TYPES.join(", ");
    if word.is_empty() {
        return format!("the type is missing: write one of {all} after the name and a colon");
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
            format!("there is no type `{word}`: write `{near}` if you mean that; the types are {all}")
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
            "`decimal={digits}` is not valid: write `decimal=P,S` with P digits in total, 1 to 15, of which S, at most P, are after the point, as in `decimal=10,2`"
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
            return Err("the choice `self` is not a valid name in Rust: write another".into());
        }
        // `v1` and `v_1` would be one variant.
        if !variants.insert(names::pascal(choice)) {
            return Err(format!(
                "the choice `{choice}` already exists, possibly with other underscores: remove it"
            ));
        }
    }
    Ok(Kind::Enum(choices.into_iter().map(str::to_owned).collect()))
}

fn reference(target: &str) -> Result<Kind, String> {
    if target == "upload" {
        return Err("a file is not a reference: write the type `upload`, which also checks the owner of the file and adds its URL".into());
    }
    names::check(target, names::LONGEST)?;
    Ok(Kind::Ref(target.to_owned()))
}
