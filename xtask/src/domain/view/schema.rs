//! The rules of a field: its garde attributes, its schema in the OpenAPI document, and its bounds as code.

use crate::domain::names;
use crate::domain::samples::{Sample, from_units, units};
use crate::domain::spec::{Field, Kind};

/// The garde rules of a value, unless its type has them.
fn rules(field: &Field) -> Option<String> {
    let range = &field.range;
    let bound = |text: &Option<String>, written: fn(&str) -> String| {
        text.as_deref().map_or("None".to_owned(), |text| format!("Some({})", written(text)))
    };
    let bounds = |written: fn(&str) -> String| {
        format!("{}, {}", bound(&range.min, written), bound(&range.max, written))
    };
    let is_bounded = range.min.is_some() || range.max.is_some();
    match &field.kind {
        Kind::Float if is_bounded => Some(format!("custom(field::range({}))", bounds(floating))),
        Kind::Decimal { .. } if is_bounded => {
            Some(format!("custom(decimal::within({}))", bounds(|text| format!("\"{text}\""))))
        }
        _ => None,
    }
}

/// Whether the type of the field contains its rule.
pub(super) fn has_rule(field: &Field) -> bool {
    matches!(field.kind, Kind::String | Kind::Text | Kind::Email | Kind::Url | Kind::Int | Kind::BigInt)
}

/// Maximum number of characters of a text.
pub(crate) fn longest(field: &Field) -> u64 {
    let given = field.range.max.as_deref().and_then(|max| max.parse().ok());
    given.unwrap_or(match field.kind {
        Kind::Text => 10_000,
        Kind::Email => 254,
        Kind::Url => 2_048,
        _ => 255,
    })
}

/// Minimum number of characters of a text, by default one.
pub(crate) fn shortest(field: &Field) -> u64 {
    let usual = u64::from(matches!(field.kind, Kind::String | Kind::Text));
    field.range.min.as_deref().and_then(|min| min.parse().ok()).unwrap_or(usual)
}

/// An integer in code: `10_000`.
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

/// An integer in code without a declared type: Rust infers 32 bits, and rejects larger numbers.
pub(crate) fn integer(digits: &str) -> String {
    if digits.parse::<i32>().is_ok() { grouped(digits) } else { long(digits) }
}

/// An integer of 64 bits in code without a declared type.
pub(super) fn long(digits: &str) -> String {
    format!("{}_i64", grouped(digits))
}

/// A float in code: `10_000.0`.
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
        // As in responses: with all its decimals.
        Kind::Decimal { scale, .. } => format!("{:?}", from_units(units(default, scale), scale)),
        _ => format!("{default:?}"),
    }
}

/// The schema attributes of the value, besides those of its type.
pub(super) fn schema(field: &Field, sample: &Sample) -> Vec<String> {
    let mut parts = Vec::new();
    if field.kind == Kind::Float {
        parts.extend(field.range.min.as_deref().map(|min| format!("minimum = {}", floating(min))));
        parts.extend(field.range.max.as_deref().map(|max| format!("maximum = {}", floating(max))));
    }
    if matches!(field.kind, Kind::Float | Kind::Bool | Kind::Uuid) {
        parts.extend(sample.example.as_ref().map(|example| format!("examples({example})")));
    }
    parts
}

/// The garde attribute, unless the type of the field has the rule.
pub(super) fn garde(field: &Field, inner: bool) -> Option<String> {
    let rules = rules(field)?;
    Some(if inner { format!("#[garde(inner({rules}))]") } else { format!("#[garde({rules})]") })
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
