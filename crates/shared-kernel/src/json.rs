//! Strict JSON in. Every refusal names the place (a JSON pointer) and has a stable code.
//!
//! serde alone would take the last of two equal keys, let NUL into a string, take no integer that is written `5.0`, and name no
//! place.

mod object;
mod whole;

use std::collections::HashSet;
use std::fmt;

use garde::Validate;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

pub use self::object::JsonObject;
use self::whole::Whole;
use crate::error::{FieldError, Invalid};
use crate::text;

/// Why a body was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON, or not UTF-8 (RFC 8259).
    #[error("{0}")]
    Malformed(String),
    /// It is JSON of the wrong shape, or breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// The value in `body`, if it is a JSON object, of the right shape, and within its own rules.
///
/// # Errors
///
/// [`JsonError::Malformed`] if it is not JSON in UTF-8, [`JsonError::Invalid`] with the broken rules otherwise.
pub fn parse<T>(body: &[u8]) -> Result<T, JsonError>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let text = std::str::from_utf8(body).map_err(|_| JsonError::Malformed("the body is not UTF-8".into()))?;
    refuse_unfit(text)?;
    // serde would fill the fields of a struct from an array, in order.
    if !text.trim_start().starts_with('{') {
        return Err(Invalid::field("", "type", "must be a JSON object").into());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value =
        serde_path_to_error::deserialize(Whole(&mut deserializer)).map_err(|error| wrong_shape(&error))?;
    validate(&value)?;
    Ok(value)
}

/// The rules of `value`, all of them at once.
///
/// # Errors
///
/// One field error for each broken rule, twenty at most.
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<(), Invalid> {
    value.validate().map_err(|report| {
        Invalid(
            report
                .iter()
                .take(MAX_REFUSALS)
                .map(|(path, error)| {
                    let (code, message) = code_and_message(error.message());
                    FieldError::new(pointer_of_dotted(&path.to_string()), code, message)
                })
                .collect(),
        )
    })
}

/// garde's messages are sentences; the code is read off the rule that wrote it. A rule of ours writes `code: sentence`.
fn code_and_message(message: &str) -> (String, String) {
    if let Some((code, sentence)) = message.split_once(": ")
        && !code.is_empty()
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    {
        return (code.into(), sentence.into());
    }
    let code = match message {
        m if m.starts_with("length is lower") => "too_short",
        m if m.starts_with("length is greater") => "too_long",
        m if m.starts_with("lower than") => "too_small",
        m if m.starts_with("greater than") => "too_large",
        m if m.starts_with("not a valid email") => "email",
        m if m.starts_with("not a valid url") => "url",
        _ => "invalid",
    };
    (code.into(), message.into())
}

/// `lines[0].mail` as a JSON pointer. A field that is called like a keyword of Rust has an underscore at its end there,
/// `type_`, and none in JSON.
fn pointer_of_dotted(path: &str) -> String {
    let mut pointer = String::new();
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        pointer.push('/');
        pointer.push_str(&escape(part.trim_end_matches([']', '_'])));
    }
    pointer
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// What serde says of a body that is JSON of the wrong shape.
fn wrong_shape(error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    let message = error.inner().to_string();
    let message = match error.inner().classify() {
        Category::Data => message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message),
        // That it is JSON was found out before: where serde_json wants one of several words, it calls anything else a
        // syntax error.
        Category::Io | Category::Syntax | Category::Eof => "invalid type: must be a text",
    };
    let mut pointer = String::new();
    for segment in error.path() {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => pointer.extend(["/", &index.to_string()]),
            Segment::Map { key } => pointer.extend(["/", &escape(key)]),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    Invalid(vec![shape_error(pointer, message)])
}

/// The field error for serde's `message` about what stands at `pointer`. Also for query strings, which serde reads alike.
#[must_use]
pub fn shape_error(pointer: String, message: &str) -> FieldError {
    let named = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?;
        let name = rest.strip_prefix('`')?.split('`').next()?;
        Some(name.to_owned())
    };
    // serde's path may already end in the field that it names.
    let below = |name: &str| {
        let last = format!("/{}", escape(name));
        if pointer.ends_with(&last) { pointer.clone() } else { format!("{pointer}{last}") }
    };
    if let Some(name) = named("unknown field ") {
        return FieldError::new(below(&name), "unknown_field", "is not a field of this request");
    }
    if let Some(name) = named("missing field ") {
        return FieldError::new(below(&name), "required", "is required");
    }
    if let Some(name) = named("duplicate field ") {
        return FieldError::new(below(&name), "duplicate_field", "is given twice");
    }
    let code = if message.starts_with("invalid type") {
        "type"
    } else if message.starts_with("unknown variant") {
        "choice"
    } else if message == text::HasControlCharacters.to_string() {
        "control_characters"
    } else {
        "invalid"
    };
    FieldError::new(pointer, code, message)
}

/// Reads the whole text once, keeping nothing: syntax, nesting (128 levels, `serde_json`'s own bound), equal keys, control
/// characters.
fn refuse_unfit(text: &str) -> Result<(), JsonError> {
    let mut scan = Scan { pointer: String::new(), refused: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let scanned = Node(&mut scan).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = scanned {
        if is_out_of_range(&error) && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            scan.refuse("out_of_range", "is a number that is too large");
        } else {
            return Err(JsonError::Malformed(FieldError::short(format!("the body is not JSON: {error}"))));
        }
    }
    if scan.refused.is_empty() { Ok(()) } else { Err(Invalid(scan.refused).into()) }
}

/// A number such as 1e400 is JSON, which sets no limit (RFC 8259, section 6); `serde_json` reads none that is no double.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// How many refusals are listed: enough for any form, and no answer grows with a hostile body.
const MAX_REFUSALS: usize = 20;

struct Scan {
    pointer: String,
    refused: Vec<FieldError>,
}

impl Scan {
    fn refuse(&mut self, code: &'static str, message: &str) {
        if self.refused.len() < MAX_REFUSALS {
            self.refused.push(FieldError::new(FieldError::kept(&self.pointer), code, message));
        }
    }

    fn text(&mut self, text: &str) {
        if text.contains(text::is_refused) {
            self.refuse("control_characters", &text::HasControlCharacters.to_string());
        }
    }
}

/// Any JSON value, looked at and dropped.
struct Node<'s>(&'s mut Scan);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let length = self.0.pointer.len();
        let mut index = 0_usize;
        loop {
            self.0.pointer.extend(["/", &index.to_string()]);
            let more = items.next_element_seed(Node(self.0))?.is_some();
            self.0.pointer.truncate(length);
            if !more {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let length = self.0.pointer.len();
        let mut seen = HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            self.0.pointer.push('/');
            self.0.pointer.push_str(&escape(&key.replace(text::is_refused, "\u{fffd}")));
            self.0.text(&key);
            if !seen.insert(key) {
                self.0.refuse("duplicate_field", "is given twice");
            }
            fields.next_value_seed(Node(self.0))?;
            self.0.pointer.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Line;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[garde(length(chars, min = 1, max = 5))]
        name: Line,
        #[garde(inner(range(min = 1)))]
        #[serde(default)]
        counts: Vec<i64>,
        #[garde(range(max = 5))]
        #[serde(default, rename = "type")]
        type_: i64,
    }

    fn refused(body: &str) -> Vec<(String, String)> {
        match parse::<Body>(body.as_bytes()) {
            Err(JsonError::Invalid(Invalid(fields))) => {
                fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
            }
            other => panic!("{body}: {other:?}"),
        }
    }

    fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
        vec![(pointer.into(), code.into())]
    }

    #[test]
    fn every_refusal_has_a_pointer_and_a_code() {
        assert_eq!(refused(r#"{"name": "a", "is_admin": true}"#), one("/is_admin", "unknown_field"));
        assert_eq!(refused("{}"), one("/name", "required"));
        assert_eq!(refused(r#"{"name": 5}"#), one("/name", "type"));
        assert_eq!(refused(r#"{"name": "a", "name": "b"}"#), one("/name", "duplicate_field"));
        assert_eq!(refused(r#"{"name": "a\u0000b"}"#), one("/name", "control_characters"));
        assert_eq!(refused(r#"{"name": "a\nb"}"#), one("/name", "control_characters"));
        assert_eq!(refused(r#"{"name": "a", "counts": [1, "x"]}"#), one("/counts/1", "type"));
        assert_eq!(refused(r#"{"name": "a", "counts": [1, 0]}"#), one("/counts/1", "too_small"));
        assert_eq!(refused(r#"{"name": "a", "type": 6}"#), one("/type", "too_large"));
        assert_eq!(refused(r#"{"name": "   "}"#), one("/name", "too_short"));
        assert_eq!(refused(r#"{"name": "abcdef"}"#), one("/name", "too_long"));
        for no_object in ["[]", r#"["a", [1]]"#, "\"a\"", " null", "5"] {
            assert_eq!(refused(no_object), one("", "type"), "{no_object}");
        }
    }

    #[test]
    fn an_integer_is_one_however_it_is_written() {
        let read = |count: &str| parse::<Body>(format!(r#"{{"name": "a", "counts": [{count}]}}"#).as_bytes());
        for (written, count) in [
            ("5", 5),
            ("5.0", 5),
            ("5e0", 5),
            ("0.5e1", 5),
            ("50E-1", 5),
            ("3000000000.0", 3_000_000_000),
            ("1125899906842623.0", 1_125_899_906_842_623),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(read(written).unwrap().counts, [count], "{written}");
        }
        for (written, code) in [
            ("5.5", "type"),
            ("5e-1", "type"),
            // Which integer that is cannot be told for sure.
            ("1125899906842624.0", "type"),
            ("9007199254740993.0", "type"),
            ("1e19", "type"),
            ("9223372036854775808", "invalid"),
            ("1e400", "out_of_range"),
            ("-1e400", "out_of_range"),
            ("-0.0", "too_small"),
            ("0.0", "too_small"),
            ("\"5\"", "type"),
            ("true", "type"),
            ("[5.0]", "type"),
            ("null", "type"),
        ] {
            let body = format!(r#"{{"name": "a", "counts": [{written}]}}"#);
            assert_eq!(refused(&body), one("/counts/0", code), "{written}");
        }
    }

    #[test]
    fn integers_are_found_wherever_they_stand_and_nothing_else_is_changed() {
        #[derive(Debug, PartialEq, Deserialize)]
        enum Kind {
            None,
            One(i32),
            Two(u8, i64),
            Named { count: i16 },
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Newtype(u32);
        #[derive(Debug, Deserialize, Validate)]
        struct All {
            #[garde(skip)]
            optional: Option<i64>,
            #[garde(skip)]
            #[serde(default)]
            patched: crate::patch::Patch<u16>,
            #[garde(skip)]
            newtype: Newtype,
            #[garde(skip)]
            pair: (i8, u64),
            #[garde(skip)]
            kinds: Vec<Kind>,
            #[garde(skip)]
            map: std::collections::BTreeMap<String, i64>,
            #[garde(skip)]
            float: f64,
            #[garde(skip)]
            data: JsonObject,
            #[garde(skip)]
            name: Line,
        }
        let body = r#"{
            "optional": 1.0, "patched": 2.0, "newtype": 3.0, "pair": [4.0, 5.0], "map": {"a": 6.0}, "float": 7.0,
            "kinds": ["None", {"One": 8.0}, {"Two": [9.0, 10.0]}, {"Named": {"count": 11.0}}],
            "data": {"a": 12.0, "b": [13, 1.5e1]}, "name": "x"
        }"#;
        let all = parse::<All>(body.as_bytes()).unwrap();
        assert_eq!((all.optional, all.patched.value()), (Some(1), Some(&2)));
        assert_eq!((all.newtype, all.pair), (Newtype(3), (4, 5)));
        assert_eq!(all.map["a"], 6);
        assert!((all.float - 7.0).abs() < f64::EPSILON);
        let kinds = [Kind::None, Kind::One(8), Kind::Two(9, 10), Kind::Named { count: 11 }];
        assert_eq!(all.kinds, kinds);
        assert_eq!(serde_json::to_string(&all.data).unwrap(), r#"{"a":12.0,"b":[13,15.0]}"#);
        assert_eq!(&*all.name, "x");
        let wrong = body.replace("\"pair\": [4.0", "\"pair\": [128.0");
        let Err(JsonError::Invalid(Invalid(fields))) = parse::<All>(wrong.as_bytes()) else {
            panic!("it fits")
        };
        assert_eq!((&*fields[0].pointer, &*fields[0].code), ("/pair/0", "invalid"));
    }

    #[test]
    fn all_broken_rules_are_told_at_once() {
        assert_eq!(refused(r#"{"name": "", "counts": [0, 0]}"#).len(), 3);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let bodies: [&[u8]; 8] = [
            b"",
            b"{",
            b"{\"name\": 1e400",
            b"\xff",
            b"{} {}",
            b"{\"name\": \"\\ud800\"}",
            b"NaN",
            deep.as_bytes(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            assert!(matches!(parse::<Body>(body), Err(JsonError::Malformed(_))), "{shown}");
        }
    }

    #[test]
    fn a_hostile_body_gets_a_short_answer() {
        let body = format!(r#"{{"name": [{}]}}"#, vec![r#""\u0000""#; 10_000].join(","));
        assert_eq!(refused(&body).len(), MAX_REFUSALS);
        let long = |letter: &str| letter.repeat(300_000);
        for letter in ["a", "é", "~", "/", "\u{1f4a1}", "\\\"", "`"] {
            let name = long(letter);
            for body in [
                format!(r#"{{"{name}": [{}]}}"#, vec![r#""\u0000""#; 20].join(",")),
                format!(r#"{{"name": "a", "{name}": 1}}"#),
                format!(r#"{{"name": "a", "{name}": 1, "{name}": 2}}"#),
                format!(r#"{{"name": "a", "counts": ["{name}"]}}"#),
                format!(r#"{{"name": "a", "counts": [{}]}}"#, vec!["0"; 100_000].join(",")),
                format!(r#"{{"name": "{name}"}}"#),
                format!(r#"{{"{name}"#),
                format!("{name}{name}"),
            ] {
                let error = parse::<Body>(body.as_bytes()).unwrap_err();
                assert!(error.to_string().len() <= 3_000, "{letter}: {}", error.to_string().len());
                if let JsonError::Invalid(Invalid(fields)) = error {
                    assert!(fields.len() <= MAX_REFUSALS);
                    let bytes = serde_json::to_vec(&fields).unwrap().len();
                    assert!(bytes <= 30_000, "{letter}: {bytes}");
                }
            }
        }
    }

    #[test]
    fn a_long_name_is_cut_where_a_character_ends() {
        let name = "é".repeat(1_000);
        let cut = refused(&format!(r#"{{"name": "a", "{name}": 1}}"#)).remove(0);
        assert_eq!(cut, (format!("/{}…", "é".repeat(198)), "unknown_field".to_owned()));
        let fits = "é".repeat(199);
        assert_eq!(
            refused(&format!(r#"{{"name": "a", "{fits}": 1}}"#)),
            one(&format!("/{fits}"), "unknown_field")
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse::<Body>(&body);
        }
    }
}
