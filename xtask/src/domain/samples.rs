//! Values for tests and examples: valid ones, and some just inside and just outside of the rules of a field.

use serde::Serialize;

use super::spec::{Field, Kind};
use super::view::{floating, grouped, integer as written, longest, shortest};

/// Number of rows that the tests of a list create.
const ROWS: usize = 5;
/// Greatest number that tests use.
const NUMBERS: i64 = 25;

/// Values of a field, as Rust expressions. In `value` and `key` there is a `number: i64`, 1 to 25; the first
/// five differ in every field whose rules allow five values.
#[derive(Clone, Serialize)]
pub(crate) struct Sample {
    /// A value that differs for each number, if the rules of the field allow it.
    pub(crate) value: String,
    /// The sort key of the values, as an `i64`; `None` if databases may sort differently.
    pub(crate) key: Option<String>,
    /// Example in the OpenAPI document.
    pub(crate) example: Option<String>,
    /// Valid values.
    pub(crate) accepted: Vec<String>,
    /// Invalid values, with their error codes.
    pub(crate) refused: Vec<(String, &'static str)>,
}

/// The samples of `field`, whose name in texts is `words`.
pub(crate) fn sample(field: &Field, words: &str) -> Sample {
    of_kind(field, words)
}

fn new(value: impl Into<String>, example: impl Into<String>) -> Sample {
    Sample {
        value: value.into(),
        key: Some("number".to_owned()),
        example: Some(example.into()),
        accepted: Vec::new(),
        refused: Vec::new(),
    }
}

fn with(mut sample: Sample, accepted: &[&str], refused: &[(&str, &'static str)]) -> Sample {
    sample.accepted.extend(accepted.iter().map(|value| format!("json!({value})")));
    sample.refused.extend(refused.iter().map(|(value, code)| (format!("json!({value})"), *code)));
    sample
}

fn of_kind(field: &Field, words: &str) -> Sample {
    match &field.kind {
        Kind::String | Kind::Text => text(field, words),
        Kind::Bool => {
            let sample = new("number % 2 == 0", "true");
            let sample = Sample { key: Some("number % 2 == 0".to_owned()), ..sample };
            with(sample, &["true", "false"], &[("\"true\"", "type")])
        }
        Kind::Int => integer(field, i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::BigInt => integer(field, -9_007_199_254_740_991, 9_007_199_254_740_991),
        Kind::Decimal { precision, scale } => decimal(field, *precision, *scale),
        Kind::Float => float(field),
        Kind::Date => with(
            new("format!(\"2026-01-{number:02}\")", "\"2026-01-31\""),
            &["\"2026-02-28\"", "\"2024-02-29\""],
            &[("\"2026-02-29\"", "invalid")],
        ),
        Kind::Timestamp => with(
            new("format!(\"2026-01-{number:02}T12:00:00Z\")", "\"2026-01-31T12:00:00Z\""),
            &["\"2026-01-31T12:00:00Z\"", "\"2026-01-31T13:00:00.5+01:00\""],
            &[("\"2026-01-31\"", "invalid")],
        ),
        Kind::Uuid => with(
            new(
                "format!(\"01890000-0000-7000-8000-{number:012}\")",
                "\"01890000-0000-7000-8000-000000000001\"",
            ),
            &["\"01890000-0000-7000-8000-000000000001\""],
            &[("\"x\"", "invalid")],
        ),
        Kind::Json => with(
            new("{\"number\": number}", "json!({\"color\": \"red\"})"),
            &["{}", "{\"a\": {\"b\": [1, null, \"c\"]}}"],
            &[("[]", "type")],
        ),
        Kind::Email => email(field),
        Kind::Url => with(
            new("format!(\"https://example.com/{number}\")", "\"https://example.com/1\""),
            &["\"https://example.com\"", "\"http://example.com:8080/a?b=c#d\""],
            &[("\"javascript:alert(1)\"", "url")],
        ),
        Kind::Enum(values) => choice(values),
        Kind::Ref(_) | Kind::Upload => Sample { key: None, example: None, ..new("Value::Null", "") },
    }
}

/// The number of distinct values.
pub(crate) fn distinct(field: &Field) -> usize {
    match &field.kind {
        Kind::Enum(values) => values.len(),
        Kind::Bool => 2,
        Kind::Int | Kind::BigInt => integers(field, i64::MIN, i64::MAX).len(),
        Kind::Decimal { precision, scale } => decimals(field, *precision, *scale).len(),
        Kind::String | Kind::Text if longest(field) == 0 => 1,
        _ => ROWS,
    }
}

fn text(field: &Field, words: &str) -> Sample {
    let (min, max) = (shortest(field), longest(field));
    let mut letters = words.chars();
    let natural = letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str());
    let start = format!("{natural} ");
    let length = start.chars().count() as u64;
    let (value, example) = if max == 0 {
        ("\"\"".to_owned(), "\"\"".to_owned())
    } else if max == 1 {
        ("pick(&[\"1\", \"2\", \"3\", \"4\", \"5\"], number)".to_owned(), "\"1\"".to_owned())
    } else if length + 2 > max {
        // Two digits fit, and no word before them.
        (numbered("", min), shown("1", min))
    } else {
        (numbered(&start, min.saturating_sub(length)), shown(&format!("{start}1"), min))
    };
    let mut sample = new(value, example);
    sample.accepted.push(repeated(max));
    if min > 0 {
        sample.accepted.push(repeated(min));
        sample.refused.push((repeated(min - 1), "too_short"));
    }
    sample.refused.push((repeated(max + 1), "too_long"));
    sample
}

/// `start` and the number, padded to this width.
fn numbered(start: &str, width: u64) -> String {
    match width {
        0 | 1 => format!("format!(\"{start}{{number}}\")"),
        _ => format!("format!(\"{start}{{number:x<{width}}}\")"),
    }
}

/// A text of at least `min` characters.
fn shown(text: &str, min: u64) -> String {
    format!("\"{text:x<width$}\"", width = usize::try_from(min).unwrap_or(0))
}

fn repeated(length: u64) -> String {
    match length {
        0 => "json!(\"\")".to_owned(),
        1 => "json!(\"a\")".to_owned(),
        _ => format!("json!(\"a\".repeat({}))", grouped(&length.to_string())),
    }
}

fn email(field: &Field) -> Sample {
    let max = longest(field);
    let sample = with(
        new("format!(\"ada{number}@example.com\")", "\"ada@example.com\""),
        &["\"ada@example.com\""],
        &[("\"ada\"", "email")],
    );
    let too_long = format!(
        "json!(format!(\"{{}}@example.com\", \"a\".repeat({})))",
        grouped(&max.saturating_sub(11).to_string())
    );
    let mut sample = sample;
    sample.refused.push((too_long, "too_long"));
    sample
}

fn choice(values: &[String]) -> Sample {
    let shown: Vec<String> = values.iter().take(ROWS).map(|value| format!("\"{value}\"")).collect();
    let first = shown.first().cloned().unwrap_or_default();
    let mut sample = new(format!("pick(&[{}], number)", shown.join(", ")), first);
    // Databases sort texts by the rules of a language or by bytes.
    sample.key = None;
    sample.accepted = values.iter().map(|value| format!("json!(\"{value}\")")).collect();
    with(sample, &[], &[("\"no such value\"", "choice")])
}

fn bound(text: Option<&String>) -> Option<i64> {
    text.and_then(|text| text.parse().ok())
}

/// Up to five integers within the field's range, ascending.
fn integers(field: &Field, min: i64, max: i64) -> Vec<i64> {
    let low = bound(field.range.min.as_ref()).unwrap_or(min);
    let high = bound(field.range.max.as_ref()).unwrap_or(max);
    let start = if low <= 1 && high >= 5 {
        1
    } else if low > 1 || low > i64::MIN / 2 {
        low
    } else {
        high.saturating_sub(4)
    };
    (0..5).map(|step| start.saturating_add(step)).filter(|value| (low..=high).contains(value)).collect()
}

fn integer(field: &Field, min: i64, max: i64) -> Sample {
    let values = integers(field, min, max);
    let low = bound(field.range.min.as_ref());
    let high = bound(field.range.max.as_ref());
    let values: Vec<String> = values.iter().map(|value| written(&value.to_string())).collect();
    let example = values.first().cloned().unwrap_or_else(|| "1".to_owned());
    let mut sample = if low.unwrap_or(min) <= 1 && high.unwrap_or(max) >= NUMBERS {
        new("number", example)
    } else {
        picked(&values, example)
    };
    sample.accepted = vec![json(low.unwrap_or(min)), json(high.unwrap_or(max))];
    sample.refused.push((json(low.unwrap_or(min).saturating_sub(1)), "too_small"));
    sample.refused.push((json(high.unwrap_or(max).saturating_add(1)), "too_large"));
    sample
}

fn json(value: i64) -> String {
    format!("json!({}_i64)", grouped(&value.to_string()))
}

/// Literal values; after the last one the first follows.
fn picked(values: &[String], example: String) -> Sample {
    let key = (values.len() >= ROWS).then(|| "number".to_owned());
    Sample { key, ..new(format!("pick(&[{}], number)", values.join(", ")), example) }
}

/// A decimal as an integer number of its smallest units.
pub(crate) fn units(text: &str, scale: u32) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = format!("{part:0<width$}", width = scale as usize);
    sign * format!("{whole}{part}").parse::<i64>().unwrap_or(0)
}

pub(crate) fn from_units(units: i64, scale: u32) -> String {
    let (sign, digits) = if units < 0 { ("-", units.unsigned_abs()) } else { ("", units.unsigned_abs()) };
    let width = scale as usize + 1;
    let text = format!("{digits:0>width$}");
    let (whole, part) = text.split_at(text.len() - scale as usize);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// The bounds of a decimal in its smallest units.
fn decimal_bounds(field: &Field, precision: u32, scale: u32) -> (i64, i64) {
    let all = 10_i64.pow(precision) - 1;
    let low = field.range.min.as_deref().map_or(-all, |min| units(min, scale));
    let high = field.range.max.as_deref().map_or(all, |max| units(max, scale));
    (low, high)
}

/// Up to five decimals within the field's rules, ascending.
fn decimals(field: &Field, precision: u32, scale: u32) -> Vec<String> {
    let (low, high) = decimal_bounds(field, precision, scale);
    let one = 10_i64.pow(scale);
    let (start, step) = if low <= one && high >= 6 * one {
        (one + one / 2, one)
    } else {
        (low.max(high.saturating_sub(4).min(low)), 1)
    };
    (0..5)
        .map(|index| start + index * step)
        .filter(|value| (low..=high).contains(value))
        .map(|value| from_units(value, scale))
        .collect()
}

fn decimal(field: &Field, precision: u32, scale: u32) -> Sample {
    let values = decimals(field, precision, scale);
    let example = values.first().map_or_else(String::new, |value| format!("\"{value}\""));
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    let mut sample = picked(&quoted, example);
    let (low, high) = decimal_bounds(field, precision, scale);
    let text = |value| format!("json!(\"{}\")", from_units(value, scale));
    sample.accepted = vec![text(low), text(high)];
    // If the field has no bound, the number of its digits is the bound.
    let code = |given: bool, value: i64, code| {
        if given && value.unsigned_abs() < 10_u64.pow(precision) { code } else { "invalid" }
    };
    sample.refused.push((text(low - 1), code(field.range.min.is_some(), low - 1, "too_small")));
    sample.refused.push((text(high + 1), code(field.range.max.is_some(), high + 1, "too_large")));
    let more = format!("\"0.{}1\"", "0".repeat(scale as usize));
    with(sample, &[], &[(&more, "invalid")])
}

/// Floats within the field's range, ascending.
fn floats(field: &Field) -> Vec<String> {
    let parse = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let low = parse(&field.range.min).unwrap_or(f64::MIN);
    let high = parse(&field.range.max).unwrap_or(f64::MAX);
    if low <= 1.0 && high >= 6.0 {
        return ["1.5", "2.5", "3.5", "4.5", "5.5"].map(str::to_owned).to_vec();
    }
    let (start, end) = if low > f64::MIN && high < f64::MAX {
        (low, high)
    } else if low > f64::MIN {
        (low, low + 4.0)
    } else {
        (high - 4.0, high)
    };
    (0..5).map(|step| float_literal(start + (end - start) * f64::from(step) / 4.0)).collect()
}

fn float_literal(value: f64) -> String {
    let text = format!("{value:?}");
    if text.contains('e') { text } else { floating(&text) }
}

fn float(field: &Field) -> Sample {
    let values = floats(field);
    let example = values.first().cloned().unwrap_or_default();
    let mut sample = picked(&values, example);
    sample.accepted =
        vec![format!("json!({})", values[0]), "json!(VALUE)".replace("VALUE", &values[values.len() - 1])];
    let parse = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    if let Some(low) = parse(&field.range.min) {
        sample.accepted.push(format!("json!({})", float_literal(low)));
        sample.refused.push((format!("json!({})", float_literal(low - 1.0)), "too_small"));
    }
    if let Some(high) = parse(&field.range.max) {
        sample.accepted.push(format!("json!({})", float_literal(high)));
        sample.refused.push((format!("json!({})", float_literal(high + 1.0)), "too_large"));
    }
    sample
}
