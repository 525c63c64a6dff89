//! The modifiers after the type: `unique`, `1..200`, `default=draft`.

use super::kinds::TYPES;
use super::nearest::{distance, nearest};
use super::range;
use crate::domain::spec::{Field, Kind, OnDelete, Range};

/// The keywords, as listed in error messages.
const WORDS: [&str; 13] = [
    "optional",
    "unique",
    "index",
    "min..max",
    "default=…",
    "filter",
    "sort",
    "search",
    "owner",
    "cascade",
    "restrict",
    "set-null",
    "within=…",
];

/// A modifier.
#[derive(Debug)]
enum Modifier {
    Optional,
    Unique,
    Index,
    Filter,
    Sort,
    Search,
    Owner,
    Range(Range),
    Default(String),
    OnDelete(OnDelete),
    Within(String),
}

impl Modifier {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "optional" => Self::Optional,
            "unique" => Self::Unique,
            "index" => Self::Index,
            "filter" => Self::Filter,
            "sort" => Self::Sort,
            "search" => Self::Search,
            "owner" => Self::Owner,
            "cascade" => Self::OnDelete(OnDelete::Cascade),
            "restrict" => Self::OnDelete(OnDelete::Restrict),
            "set-null" => Self::OnDelete(OnDelete::SetNull),
            _ => match text.split_once('=') {
                Some(("default", value)) => Self::Default(value.to_owned()),
                Some(("within", field)) => Self::Within(field.to_owned()),
                _ => Self::Range(range::parse(text)?),
            },
        })
    }

    /// Its name in error messages.
    fn word(&self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Unique => "unique",
            Self::Index => "index",
            Self::Filter => "filter",
            Self::Sort => "sort",
            Self::Search => "search",
            Self::Owner => "owner",
            Self::Range(_) => "min..max",
            Self::Default(_) => "default=…",
            Self::OnDelete(OnDelete::Cascade) => "cascade",
            Self::OnDelete(OnDelete::Restrict) => "restrict",
            Self::OnDelete(OnDelete::SetNull) => "set-null",
            Self::Within(_) => "within=…",
        }
    }

    /// The types to which it applies.
    fn types(&self) -> &'static [&'static str] {
        match self {
            Self::Optional => &TYPES,
            Self::Unique => &[
                "string",
                "int",
                "bigint",
                "decimal",
                "date",
                "timestamp",
                "uuid",
                "email",
                "url",
                "enum",
                "ref",
                "upload",
            ],
            Self::Index => &[
                "string",
                "bool",
                "int",
                "bigint",
                "decimal",
                "float",
                "date",
                "timestamp",
                "uuid",
                "email",
                "url",
                "enum",
                "ref",
                "upload",
            ],
            Self::Filter => &[
                "string",
                "bool",
                "int",
                "bigint",
                "decimal",
                "float",
                "date",
                "timestamp",
                "uuid",
                "email",
                "url",
                "enum",
                "ref",
            ],
            Self::Sort => &[
                "string",
                "bool",
                "int",
                "bigint",
                "decimal",
                "float",
                "date",
                "timestamp",
                "uuid",
                "email",
                "url",
                "enum",
            ],
            Self::Search => &["string", "text", "email", "url"],
            Self::Owner | Self::Within(_) => &["ref"],
            Self::Range(_) => &["string", "text", "int", "bigint", "decimal", "float", "email", "url"],
            Self::Default(_) => &[
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
                "email",
                "url",
                "enum",
            ],
            Self::OnDelete(_) => &["ref", "upload"],
        }
    }

    fn is_on(&self, field: &Field) -> bool {
        match self {
            Self::Optional => field.optional,
            Self::Unique => field.unique,
            Self::Index => field.index,
            Self::Filter => field.filter,
            Self::Sort => field.sort,
            Self::Search => field.search,
            Self::Owner => field.owner,
            Self::Range(_) => field.range != Range::default(),
            Self::Default(_) => field.default.is_some(),
            Self::OnDelete(_) => field.on_delete.is_some(),
            Self::Within(_) => field.within.is_some(),
        }
    }

    fn put_on(self, field: &mut Field) {
        match self {
            Self::Optional => field.optional = true,
            Self::Unique => field.unique = true,
            Self::Index => field.index = true,
            Self::Filter => field.filter = true,
            Self::Sort => field.sort = true,
            Self::Search => field.search = true,
            Self::Owner => field.owner = true,
            Self::Range(range) => field.range = range,
            Self::Default(value) => field.default = Some(value),
            Self::OnDelete(rule) => field.on_delete = Some(rule),
            Self::Within(other) => field.within = Some(other),
        }
    }
}

/// The parts between the colons. A default may contain colons, as times and URLs do, and ends at the next modifier.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(':') {
        let default =
            parts.last_mut().filter(|last| last.starts_with("default=") && Modifier::parse(part).is_none());
        match default {
            Some(default) => {
                refuse_slip(part)?;
                default.push(':');
                default.push_str(part);
            }
            None => parts.push(part.to_owned()),
        }
    }
    Ok(parts)
}

/// `default=draft:fliter` most likely means `filter`, and should not silently become a part of the default.
fn refuse_slip(part: &str) -> Result<(), String> {
    let is_word = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    match WORDS.iter().find(|word| is_word && distance(part, word) == 1) {
        Some(word) => {
            Err(format!("there is no modifier `{part}`: write `{word}`, or a default without `:{part}`"))
        }
        None => Ok(()),
    }
}

/// Applies a modifier to the field.
pub(super) fn add(field: &mut Field, part: &str) -> Result<(), String> {
    let modifier = Modifier::parse(part).ok_or_else(|| unknown(part))?;
    refuse_misfit(&field.kind, &modifier)?;
    if modifier.is_on(field) {
        return Err(twice(field, &modifier));
    }
    modifier.put_on(field);
    Ok(())
}

fn refuse_misfit(kind: &Kind, modifier: &Modifier) -> Result<(), String> {
    if modifier.types().contains(&kind.word()) {
        return Ok(());
    }
    let (word, kind, types) = (modifier.word(), kind.word(), modifier.types().join(", "));
    Err(format!(
        "`{word}` does not apply to the type `{kind}`: remove it, or use a type to which it applies ({types})"
    ))
}

fn twice(field: &Field, modifier: &Modifier) -> String {
    let word = modifier.word();
    match (modifier, field.on_delete) {
        (Modifier::OnDelete(rule), Some(first)) if *rule != first => {
            format!("`{first}` and `{word}` contradict each other: remove one")
        }
        _ => format!("`{word}` is written twice: remove one"),
    }
}

fn unknown(part: &str) -> String {
    let all = WORDS.join(", ");
    if part.is_empty() {
        return "nothing follows a colon: remove the colon".to_owned();
    }
    if part.contains("..") {
        return format!(
            "`{part}` is not a range: write a number before the dots, after them, or both, as in `1..200`, `1..` or `..200`"
        );
    }
    let word = part.split('=').next().unwrap_or(part);
    let named: Vec<&str> = WORDS.iter().map(|word| word.split('=').next().unwrap_or(word)).collect();
    match nearest(word, &named) {
        Some("default") => format!(
            "there is no modifier `{part}`: write `default=` and the value if you mean that; the modifiers are {all}"
        ),
        Some(near) => {
            format!("there is no modifier `{part}`: write `{near}` if you mean that; the modifiers are {all}")
        }
        None => format!("there is no modifier `{part}`: the modifiers are {all}"),
    }
}
