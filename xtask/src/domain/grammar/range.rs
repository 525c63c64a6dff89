//! Bounds: `1..200`, of which one may be absent.

use super::values::{self, is_number};
use crate::domain::spec::{Kind, Range};

/// Parses bounds; `None` if the text does not have their form.
pub(super) fn parse(text: &str) -> Option<Range> {
    let (min, max) = text.split_once("..")?;
    let end = |end: &str| (!end.is_empty()).then(|| end.to_owned());
    let numbers = [min, max].iter().all(|end| end.is_empty() || is_number(end));
    (numbers && text != "..").then(|| Range { min: end(min), max: end(max) })
}

/// The normalized bounds, if the type allows them.
pub(super) fn settle(kind: &Kind, range: &Range) -> Result<Range, String> {
    match longest(kind) {
        Some(limits) => lengths(kind, range, limits),
        None => bounds(kind, range),
    }
}

/// Default and absolute limit of the length of a text. Bodies are limited to 1 MiB.
pub(super) fn longest(kind: &Kind) -> Option<(u64, u64)> {
    match kind {
        Kind::String => Some((255, 10_000)),
        Kind::Text => Some((10_000, 100_000)),
        Kind::Email => Some((254, 254)),
        Kind::Url => Some((2_048, 2_048)),
        _ => None,
    }
}

fn lengths(kind: &Kind, range: &Range, (usual, most): (u64, u64)) -> Result<Range, String> {
    let word = kind.word();
    let min = range.min.as_deref().map(length).transpose()?;
    let max = range.max.as_deref().map(length).transpose()?;
    if max.is_some_and(|max| max > most || max == 0) {
        let longer = if *kind == Kind::String { ", or use the type `text` for more" } else { "" };
        return Err(format!(
            "the type `{word}` has 1 to {most} characters at most: write `..{most}` or less{longer}"
        ));
    }
    // Shorter limits would exclude most addresses.
    let least = match kind {
        Kind::Email => 20,
        Kind::Url => 40,
        _ => 0,
    };
    if least > 0 && min.is_some() {
        return Err("an e-mail address has no minimum length: write only the maximum, as in `..100`".into());
    }
    if max.is_some_and(|max| max < least) {
        return Err(format!(
            "most addresses of the type `{word}` would be too long: write at least `..{least}`"
        ));
    }
    if min > Some(max.unwrap_or(usual)) {
        let (min, max) = (min.unwrap_or_default(), max.unwrap_or(usual));
        return Err(format!(
            "it can't have at least {min} and at most {max} characters: write the smaller number first, as in `{max}..{min}`"
        ));
    }
    Ok(Range { min: min.map(|min| min.to_string()), max: max.map(|max| max.to_string()) })
}

fn length(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not a length: write a number of characters, at least 0, as in `1..200`")
    })
}

fn bounds(kind: &Kind, range: &Range) -> Result<Range, String> {
    let number =
        |text: &String| values::number(kind, text).map_err(|what| format!("the bound `{text}` {what}"));
    let min = range.min.as_ref().map(number).transpose()?;
    let max = range.max.as_ref().map(number).transpose()?;
    if let (Some(min), Some(max)) = (&min, &max)
        && min.measure > max.measure
    {
        let (min, max) = (&min.text, &max.text);
        return Err(format!(
            "it can't be at least {min} and at most {max}: write the smaller number first, as in `{max}..{min}`"
        ));
    }
    Ok(Range { min: min.map(|min| min.text), max: max.map(|max| max.text) })
}
