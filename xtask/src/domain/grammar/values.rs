//! Parses values of a type, for defaults and for bounds.

use super::range;
use crate::domain::spec::{Field, Kind, Range};

/// The largest integer that a JavaScript client represents exactly (RFC 8259, section 6).
const SAFE: i128 = 9_007_199_254_740_991;

/// A number in normalized form, and its value for comparisons.
pub(super) struct Number {
    pub(super) text: String,
    pub(super) measure: Measure,
}

/// The value by which numbers of one type are compared.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum Measure {
    /// A decimal in units of its last digit.
    Exact(i128),
    Float(f64),
}

/// Digits, optionally with a sign and a decimal point.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    digits(whole) && rest.is_none_or(digits)
}

/// Parses a number of this type. The error continues after the text: `"1.5" is not a number of this type: …`.
pub(super) fn number(kind: &Kind, text: &str) -> Result<Number, String> {
    match kind {
        Kind::Decimal { precision, scale } => decimal(text, *precision, *scale),
        Kind::Float => float(text),
        Kind::Int => whole(text, i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => whole(text, -SAFE, SAFE),
    }
}

fn whole(text: &str, min: i128, max: i128) -> Result<Number, String> {
    let parsed = is_number(text).then(|| text.parse::<i128>().ok()).flatten();
    match parsed {
        Some(value) if (min..=max).contains(&value) => {
            Ok(Number { text: value.to_string(), measure: Measure::Exact(value) })
        }
        _ => Err(format!("is not a number of this type: write an integer from {min} to {max}")),
    }
}

fn decimal(text: &str, precision: u32, scale: u32) -> Result<Number, String> {
    let wrong = || {
        let before = precision - scale;
        format!(
            "is not a number of this type: write at most {before} digits before the point and {scale} after it"
        )
    };
    if !is_number(text) {
        return Err(wrong());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let units = format!("{whole}{fraction:0<width$}", width = scale as usize);
    let value: i128 = units.parse().map_err(|_| wrong())?;
    if fraction.len() > scale as usize || value.abs() >= 10_i128.pow(precision) {
        return Err(wrong());
    }
    let digits = whole.trim_start_matches('-').trim_start_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    let digits = if digits.is_empty() { "0" } else { digits };
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(Number { text: format!("{sign}{digits}{point}{fraction}"), measure: Measure::Exact(value) })
}

fn float(text: &str) -> Result<Number, String> {
    let parsed = is_number(text).then(|| text.parse::<f64>().ok()).flatten();
    match parsed.filter(|value| value.is_finite()) {
        // Negative zero is written as zero.
        Some(0.0) => Ok(Number { text: "0".to_owned(), measure: Measure::Float(0.0) }),
        Some(value) => Ok(Number { text: value.to_string(), measure: Measure::Float(value) }),
        None => Err("is not a number: write digits, perhaps with a point, as in `0.5`".to_owned()),
    }
}

/// The normalized default, if it is valid for the field.
pub(super) fn default(field: &Field, text: &str) -> Result<String, String> {
    let told = |what| format!("the default `{text}` {what}");
    match &field.kind {
        Kind::Bool if ["true", "false"].contains(&text) => Ok(text.to_owned()),
        Kind::Bool => Err(told("is not a Boolean: write `bool=true` or `bool=false`".to_owned())),
        Kind::Enum(choices) if choices.iter().any(|choice| choice == text) => Ok(text.to_owned()),
        Kind::Enum(choices) => {
            Err(told(format!("is not one of its choices: write one of {}", choices.join(", "))))
        }
        Kind::Int | Kind::BigInt | Kind::Decimal { .. } | Kind::Float => bounded(field, text).map_err(told),
        Kind::Date if is_date(text) => Ok(text.to_owned()),
        Kind::Date => Err(told("is not a date: write one as in `2026-01-31`".to_owned())),
        Kind::Timestamp | Kind::Uuid => Err(told(
            "would be the same for every row without a value: remove the default, or set it in the service"
                .to_owned(),
        )),
        _ => written(field, text).map_err(told),
    }
}

fn bounded(field: &Field, text: &str) -> Result<String, String> {
    let number = number(&field.kind, text)?;
    let measure = |bound: &Option<String>| {
        bound.as_deref().and_then(|bound| self::number(&field.kind, bound).ok()).map(|bound| bound.measure)
    };
    let low = measure(&field.range.min).is_some_and(|min| number.measure < min);
    let high = measure(&field.range.max).is_some_and(|max| number.measure > max);
    if low || high { Err(out_of(&field.range)) } else { Ok(number.text) }
}

fn written(field: &Field, text: &str) -> Result<String, String> {
    let breaks = |c: char| field.kind == Kind::Text && matches!(c, '\n' | '\t');
    let refused = |c: char| (c.is_control() && !breaks(c)) || matches!(c, '\u{2028}' | '\u{2029}');
    if text.trim() != text || text.contains(refused) {
        return Err("has white space at its ends or control characters: remove them".to_owned());
    }
    if field.kind == Kind::Email && !is_email(text) {
        return Err("is not an e-mail address: write one as in `ada@example.com`".to_owned());
    }
    if field.kind == Kind::Url && !is_url(text) {
        return Err("is not a URL: write one as in `https://example.com/about`".to_owned());
    }
    let kept = if field.kind == Kind::Url { with_path(text) } else { text.to_owned() };
    within_length(field, &kept)?;
    Ok(kept)
}

/// A URL in normalized form: `https://example.com` has the path `/`.
fn with_path(url: &str) -> String {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url.get(host..).and_then(|rest| rest.find(['/', '?', '#'])) {
        None => format!("{url}/"),
        Some(at) if url[host + at..].starts_with('/') => url.to_owned(),
        Some(at) => format!("{}/{}", &url[..host + at], &url[host + at..]),
    }
}

fn within_length(field: &Field, text: &str) -> Result<(), String> {
    let bound = |bound: &Option<String>| bound.as_deref().and_then(|bound| bound.parse::<u64>().ok());
    let usual = range::longest(&field.kind).map_or(u64::MAX, |(usual, _)| usual);
    let least = u64::from(matches!(field.kind, Kind::String | Kind::Text));
    let (min, max) = (bound(&field.range.min).unwrap_or(least), bound(&field.range.max).unwrap_or(usual));
    let length = text.chars().count() as u64;
    if (min..=max).contains(&length) {
        return Ok(());
    }
    Err(format!("has {length} characters: write one of {min} to {max}"))
}

fn out_of(range: &Range) -> String {
    let wanted = match (&range.min, &range.max) {
        (Some(min), Some(max)) => format!("one from {min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("{max} or less"),
        (None, None) => "another".to_owned(),
    };
    format!("is out of bounds: write {wanted}")
}

fn is_date(text: &str) -> bool {
    let shaped = text.len() == 10 && shape(text, "0000-00-00");
    let part =
        |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    shaped && part(0, 4) > 0 && (1..=days(part(0, 4), part(5, 7))).contains(&part(8, 10))
}

/// Number of days of a month; `None` if there is no such month.
fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

/// Whether the text has digits where the pattern has `0`, and the same characters elsewhere.
fn shape(text: &str, model: &str) -> bool {
    let fits = |(c, wanted): (char, char)| if wanted == '0' { c.is_ascii_digit() } else { c == wanted };
    text.len() == model.len() && text.chars().zip(model.chars()).all(fits)
}

/// Strict enough for a default; the rule of the server is stricter, and the generated tests apply it.
fn is_email(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_%+-".contains(&byte);
    let word = |word: &str| !word.is_empty() && word.bytes().all(plain);
    let local = |local: &str| local.len() <= 64 && local.split('.').all(word);
    text.split_once('@').is_some_and(|(before, host)| local(before) && is_host(host))
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = |rest: &str| rest.split(['/', '?', '#', ':']).next().unwrap_or_default().to_owned();
    text.bytes().all(|byte| byte.is_ascii_graphic()) && rest.is_some_and(|rest| is_host(&host(rest)))
}

fn is_host(host: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.contains('.') && host.split('.').all(label)
}
