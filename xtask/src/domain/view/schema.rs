//! The rules of a field: what garde checks, what the document says of them, and how their bounds are written in code.

use super::typed::optional;
use crate::domain::names;
use crate::domain::samples::{Sample, from_units, units};
use crate::domain::spec::{Field, Kind};

/// The characters that no line has, as a class of a regular expression.
const CONTROL: &str = r"\x00-\x1f\x7f-\x9f\u2028\u2029";
/// The same for several lines of text.
const PROSE_CONTROL: &str = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f";
/// `WebAddress::PATTERN` of the kernel, which says the rule nearly exactly.
const URL_PATTERN: &str = concat!(
    "^[Hh][Tt][Tt][Pp][Ss]?://",
    r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
    r"|([A-Za-z0-9_]+(-+[A-Za-z0-9_]+)*\.)*[A-Za-z_][A-Za-z0-9_]*(-+[A-Za-z0-9_]+)*)",
    "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?",
    "(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?",
    r"(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    "(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$",
);
/// What a JavaScript client keeps exactly (RFC 8259, section 6).
pub(super) const SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// The garde rules of a value, without `inner`.
fn rules(field: &Field) -> Option<String> {
    let range = &field.range;
    let bounds = |max_default: Option<String>, min_default: Option<String>, digits: fn(&str) -> String| {
        let min = range.min.clone().or(min_default).map(|min| format!("min = {}", digits(&min)));
        let max = range.max.clone().or(max_default).map(|max| format!("max = {}", digits(&max)));
        [min, max].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    match &field.kind {
        Kind::String | Kind::Text => {
            let max = longest(field).to_string();
            Some(format!("length(chars, {})", bounds(Some(max), None, grouped)))
        }
        Kind::Email => {
            let max = if range.max.is_some() {
                format!("length(chars, {}), ", bounds(None, None, grouped))
            } else {
                String::new()
            };
            Some(format!("{max}custom(contact::is::<Email>)"))
        }
        Kind::Url => {
            let max = if range.max.is_some() {
                format!("length(chars, {}), ", bounds(None, None, grouped))
            } else {
                String::new()
            };
            Some(format!("{max}custom(contact::is::<WebAddress>)"))
        }
        Kind::Int if range.min.is_some() || range.max.is_some() => {
            Some(format!("range({})", bounds(None, None, grouped)))
        }
        Kind::BigInt => {
            let (min, max) = (format!("-{SAFE_INTEGER}"), SAFE_INTEGER.to_string());
            Some(format!("range({})", bounds(Some(max), Some(min), grouped)))
        }
        Kind::Float if range.min.is_some() || range.max.is_some() => {
            Some(format!("range({})", bounds(None, None, floating)))
        }
        Kind::Decimal { .. } if range.min.is_some() || range.max.is_some() => {
            let bound = |text: &Option<String>| {
                text.as_ref().map_or("None".to_owned(), |text| format!("Some(\"{text}\")"))
            };
            Some(format!("custom(decimal::within({}, {}))", bound(&range.min), bound(&range.max)))
        }
        _ => None,
    }
}

/// How many characters a text has at most.
pub(crate) fn longest(field: &Field) -> u64 {
    let given = field.range.max.as_deref().and_then(|max| max.parse().ok());
    given.unwrap_or(match field.kind {
        Kind::Text => 10_000,
        Kind::Email => 254,
        Kind::Url => 2_048,
        _ => 255,
    })
}

/// How many characters a text has at least.
pub(crate) fn shortest(field: &Field) -> u64 {
    field.range.min.as_deref().and_then(|min| min.parse().ok()).unwrap_or(0)
}

/// An integer as it is written in code: `10_000`.
pub(crate) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    if digits.len() < 5 {
        return format!("{sign}{digits}");
    }
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('_');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// An integer as it is written where nothing says how wide it is: Rust takes one for 32 bits then, and refuses what does not fit.
pub(crate) fn integer(digits: &str) -> String {
    if digits.parse::<i32>().is_ok() { grouped(digits) } else { long(digits) }
}

/// An integer of 64 bits where nothing else says so.
pub(super) fn long(digits: &str) -> String {
    format!("{}_i64", grouped(digits))
}

/// A float as it is written in code: `10_000.0`.
pub(crate) fn floating(text: &str) -> String {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    format!("{}.{rest}", grouped(whole))
}

/// A default as JSON in an attribute.
pub(super) fn literal(field: &Field, default: &str) -> String {
    match field.kind {
        Kind::Bool => default.to_owned(),
        Kind::Int | Kind::BigInt => integer(default),
        Kind::Float => floating(default),
        // As answers have it: with all its decimals.
        Kind::Decimal { scale, .. } => format!("{:?}", from_units(units(default, scale), scale)),
        _ => format!("{default:?}"),
    }
}

/// What a line of at least `min` characters looks like to the document: lines are trimmed before they are counted.
pub(super) fn line_pattern(min: u64) -> String {
    pattern(min, CONTROL)
}

fn pattern(min: u64, control: &str) -> String {
    match min {
        0 => format!("^[^{control}]*$"),
        1 => format!(r"^[^{control}]*[^\s{control}][^{control}]*$"),
        _ => format!(r"^[^{control}]*[^\s{control}][^{control}]{{{},}}[^\s{control}][^{control}]*$", min - 2),
    }
}

/// What the document says of the value; `examples` last.
pub(super) fn schema(field: &Field, is_optional: bool, sample: &Sample) -> Vec<String> {
    let value_type = |name: &str| format!("value_type = {}", optional(name.to_owned(), is_optional));
    let mut parts = Vec::new();
    match &field.kind {
        Kind::String | Kind::Text => {
            parts.push(value_type("String"));
            if shortest(field) > 0 {
                parts.push(format!("min_length = {}", grouped(&shortest(field).to_string())));
            }
            parts.push(format!("max_length = {}", grouped(&longest(field).to_string())));
            let control = if field.kind == Kind::Text { PROSE_CONTROL } else { CONTROL };
            parts.push(format!("pattern = r\"{}\"", pattern(shortest(field), control)));
        }
        Kind::Email => parts.extend([
            value_type("String"),
            "format = Email".into(),
            format!("max_length = {}", longest(field)),
        ]),
        Kind::Url => parts.extend([
            value_type("String"),
            "format = Uri".into(),
            format!("max_length = {}", grouped(&longest(field).to_string())),
            format!("pattern = r\"{URL_PATTERN}\""),
        ]),
        Kind::Int => parts.extend(bounds(field, "-2_147_483_648", "2_147_483_647", grouped)),
        Kind::BigInt => {
            let max = long(&SAFE_INTEGER.to_string());
            parts.extend(bounds(field, &format!("-{max}"), &max, long));
        }
        Kind::Float => {
            parts.extend(field.range.min.as_deref().map(|min| format!("minimum = {}", floating(min))));
            parts.extend(field.range.max.as_deref().map(|max| format!("maximum = {}", floating(max))));
        }
        _ => {}
    }
    parts.extend(sample.example.as_ref().map(|example| format!("examples({example})")));
    parts
}

fn bounds(field: &Field, min: &str, max: &str, digits: fn(&str) -> String) -> [String; 2] {
    let min = field.range.min.as_deref().map_or_else(|| min.to_owned(), digits);
    let max = field.range.max.as_deref().map_or_else(|| max.to_owned(), digits);
    [format!("minimum = {min}"), format!("maximum = {max}")]
}

pub(super) fn garde(field: &Field, inner: bool) -> String {
    match rules(field) {
        Some(rules) if inner => format!("#[garde(inner({rules}))]"),
        Some(rules) => format!("#[garde({rules})]"),
        None => "#[garde(skip)]".to_owned(),
    }
}

fn renamed(field: &Field) -> Option<String> {
    let column = field.column();
    names::is_keyword(&column).then_some(column)
}

pub(super) fn attribute(name: &str, parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("#[{name}({})]", parts.join(", ")))
}

pub(super) fn serde_attribute(field: &Field, parts: &[&str]) -> Option<String> {
    let rename = renamed(field).map(|name| format!("rename = \"{name}\""));
    let parts: Vec<String> = rename.into_iter().chain(parts.iter().map(|part| (*part).to_owned())).collect();
    attribute("serde", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_that_needs_more_than_32_bits_says_so() {
        for (digits, literal) in [
            ("0", "0"),
            ("-1", "-1"),
            ("2147483647", "2_147_483_647"),
            ("2147483648", "2_147_483_648_i64"),
            ("-2147483648", "-2_147_483_648"),
            ("-2147483649", "-2_147_483_649_i64"),
            ("9007199254740991", "9_007_199_254_740_991_i64"),
        ] {
            assert_eq!(integer(digits), literal);
        }
    }
}
