//! Strict JSON parsing. Every error has a JSON pointer, a stable code and the parameters of the rule, and all
//! errors of a request are reported at once.
//!
//! serde alone would use the last of two equal keys, accept NUL in a string, refuse the integer `5.0`, and report no
//! pointer. A valid body is deserialized by serde straight into its type; only an invalid one is
//! read again (`json/reader.rs`), to find all errors.

mod integers;
mod object;
mod reader;
mod shape;

use std::collections::HashSet;
use std::fmt;

use garde::Validate;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use self::integers::LenientIntegers;
pub use self::object::JsonObject;
use self::reader::{Marks, Node as Source};
use self::shape::Key;
use crate::error::{FieldError, Invalid};
use crate::field::{ValidationError, wrong_type};
use crate::text;

/// Why a body is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not UTF-8 (RFC 8259).
    #[error("{0}")]
    Malformed(String),
    /// JSON that does not match the type, or fails validation.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Parses and validates a body, which must be a JSON object.
///
/// # Errors
///
/// [`JsonError::Malformed`] if it is not JSON in UTF-8, else [`JsonError::Invalid`] with all field errors.
pub fn parse<T>(body: &[u8]) -> Result<T, JsonError>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let text = std::str::from_utf8(body).map_err(|_| JsonError::Malformed("the body is not UTF-8".into()))?;
    let refused = scan(text)?;
    // serde would fill the fields of a struct from an array, in order.
    if !text.trim_start().starts_with('{') {
        return Err(Invalid(vec![wrong_type("an object", None).at("")]).into());
    }
    if refused.is_empty() {
        // The message of `serde_json` contains the value, so it is dropped.
        let mut deserializer = serde_json::Deserializer::from_str(text);
        if let Ok(value) = T::deserialize(LenientIntegers(&mut deserializer)) {
            validate(&value)?;
            return Ok(value);
        }
    }
    Err(all_refusals::<T>(text, refused).into())
}

/// All errors of `text`, which is JSON but not a valid `T`, after those already found.
fn all_refusals<T: DeserializeOwned + Validate<Context = ()>>(
    text: &str,
    refused: Vec<FieldError>,
) -> Invalid {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Invalid(refused) };
    let mut marks = Marks::default();
    for error in &refused {
        if let Some(path) = path_to(&value, &error.pointer) {
            marks.refuse(&path);
        }
    }
    read_all::<T>(Source::Json(&value), text.len(), marks, refused)
}

/// Parses and validates query parameters.
///
/// # Errors
///
/// All errors of the parameters.
pub fn parse_query<T>(pairs: &[(String, String)]) -> Result<T, Invalid>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let (mut refused, bytes) = (Vec::new(), pairs.iter().map(|(name, value)| name.len() + value.len()).sum());
    match reader::read::<T>(Source::Query(pairs), bytes, Marks::default(), &mut refused) {
        Some(value) if refused.is_empty() => validate(&value).map(|()| value),
        Some(value) => Err(with_broken_rules(&value, refused)),
        None => Err(Invalid(refused)),
    }
}

fn read_all<T: DeserializeOwned + Validate<Context = ()>>(
    source: Source<'_>,
    bytes: usize,
    marks: Marks,
    mut refused: Vec<FieldError>,
) -> Invalid {
    match reader::read::<T>(source, bytes, marks, &mut refused) {
        Some(value) => with_broken_rules(&value, refused),
        None => Invalid(refused),
    }
}

/// The errors found so far, and those of garde in the other fields.
fn with_broken_rules<T: Validate<Context = ()>>(value: &T, mut refused: Vec<FieldError>) -> Invalid {
    if let Err(Invalid(broken)) = validate(value) {
        let is_new =
            |error: &FieldError| refused.iter().all(|other| !error.pointer.starts_with(&other.pointer));
        let new: Vec<FieldError> = broken.into_iter().filter(is_new).collect();
        refused.extend(new);
        refused.truncate(MAX_REFUSALS);
    }
    if refused.is_empty() {
        // `serde_json` refused the body, and no error was found; this should not happen.
        refused.push(FieldError::new("", "invalid", "is not of the form that this takes"));
    }
    Invalid(refused)
}

/// The keys of a JSON pointer, if it points to a value in `value`.
fn path_to(value: &Value, pointer: &str) -> Option<Vec<Key>> {
    let mut here = value;
    let keys = pointer.split('/').skip(1).map(|segment| {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let (key, next) = match here {
            Value::Array(items) => {
                let index = name.parse().ok()?;
                (Key::Index(index), items.get(index)?)
            }
            other => {
                let next = other.get(&name)?;
                (Key::Name(name), next)
            }
        };
        here = next;
        Some(key)
    });
    keys.collect()
}

/// Validates `value`.
///
/// # Errors
///
/// One field error for each broken rule, at most [`MAX_REFUSALS`].
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<(), Invalid> {
    value.validate().map_err(|report| {
        let broken = report.iter().take(MAX_REFUSALS).map(|(path, error)| {
            let ours = ValidationError::unmarked(error.message());
            let error =
                ours.unwrap_or_else(|| ValidationError::new("invalid", "is not of the form that this takes"));
            error.at(pointer_of_dotted(&path.to_string()))
        });
        Invalid(broken.collect())
    })
}

/// `lines[0].mail` as a JSON pointer. A field named like a keyword of Rust ends in an underscore in Rust,
/// `type_`, and does not in JSON.
fn pointer_of_dotted(path: &str) -> String {
    let mut pointer = String::new();
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        push_segment(&mut pointer, part.trim_end_matches([']', '_']));
    }
    pointer
}

/// Adds a name to a JSON pointer (RFC 6901, section 3). Responses contain no control characters.
fn push_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other if text::is_refused(other) => pointer.push('\u{fffd}'),
            other => pointer.push(other),
        }
    }
}

/// Checks the whole text without building a value: syntax, nesting (128 levels, the limit of `serde_json`), equal keys, control
/// characters. Returns the errors of the last two kinds.
fn scan(text: &str) -> Result<Vec<FieldError>, JsonError> {
    let mut scan = Scan { pointer: String::new(), refused: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let scanned = Node(&mut scan).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = scanned {
        if is_out_of_range(&error) && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            scan.refuse(ValidationError::new("out_of_range", "is a number that is too large"));
        } else {
            return Err(JsonError::Malformed(malformed(&error)));
        }
    }
    Ok(scan.refused)
}

/// A number such as 1e400 is JSON, which sets no limit (RFC 8259, section 6); `serde_json` refuses numbers outside the range of a double.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// The position of the syntax error. The message of `serde_json` is not used, because it may quote the text.
fn malformed(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "the body is not JSON: it ends too early".to_owned(),
        Category::Io | Category::Syntax | Category::Data => {
            format!("the body is not JSON at line {}, column {}", error.line(), error.column())
        }
    }
}

/// Maximum number of listed errors: enough for any form, and a hostile body cannot inflate the response.
pub const MAX_REFUSALS: usize = 20;

struct Scan {
    pointer: String,
    refused: Vec<FieldError>,
}

impl Scan {
    fn refuse(&mut self, error: ValidationError) {
        if self.refused.len() < MAX_REFUSALS {
            self.refused.push(error.at(FieldError::kept(&self.pointer)));
        }
    }

    fn text(&mut self, text: &str) {
        if text.contains(text::is_refused) {
            self.refuse(text::control_characters());
        }
    }
}

/// Any JSON value, checked and dropped.
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
            push_segment(&mut self.0.pointer, &key);
            self.0.text(&key);
            if !seen.insert(key) {
                self.0.refuse(ValidationError::new("duplicate_field", "is given twice"));
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
    use crate::text::SingleLine;
    use proptest::prelude::*;
    use serde::Deserialize;

    use crate::field::range;
    use crate::integer::BigInt;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[garde(dive)]
        name: SingleLine<1, 5>,
        #[garde(dive)]
        #[serde(default)]
        counts: Vec<BigInt<1, { i64::MAX }>>,
        #[garde(custom(range(None, Some(5))))]
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
            assert_eq!(read(written).unwrap().counts[0].get(), count, "{written}");
        }
        for (written, code) in [
            ("5.5", "type"),
            ("5e-1", "type"),
            // Which integer that is cannot be told for sure.
            ("1125899906842624.0", "type"),
            ("9007199254740993.0", "type"),
            ("1e19", "too_large"),
            ("9223372036854775808", "too_large"),
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
            name: SingleLine<0, 100>,
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
    fn no_refusal_repeats_what_was_sent() {
        #[derive(Debug, Deserialize, Validate)]
        #[serde(deny_unknown_fields)]
        #[garde(allow_unvalidated)]
        #[expect(dead_code, reason = "nothing is read")]
        struct Any {
            text: Option<String>,
            line: Option<SingleLine<0, 100>>,
            flag: Option<bool>,
            small: Option<u8>,
            signed: Option<i64>,
            share: Option<f64>,
            id: Option<crate::id::UserId>,
            uuid: Option<uuid::Uuid>,
            day: Option<crate::clock::Date>,
            moment: Option<crate::clock::Timestamp>,
            price: Option<crate::decimal::Decimal<9, 2>>,
            kind: Option<Kind>,
            list: Option<Vec<u8>>,
            data: Option<JsonObject>,
        }
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            One,
        }
        const NAMES: [&str; 14] = [
            "text", "line", "flag", "small", "signed", "share", "id", "uuid", "day", "moment", "price",
            "kind", "list", "data",
        ];
        let canaries = [
            "8137465",
            "-8137465",
            "8137465.25",
            "8137465e30",
            "\"canary-8137465\"",
            "\"usr_8137465\"",
            "\"8137465\\n8137465\"",
            "[8137465]",
            "[\"8137465\"]",
            "{\"a\": \"8137465\"}",
            "{\"one\": 8137465}",
            "\"invalid type: 8137465, expected `8137465`\"",
            "18446744073709551615",
            "[[8137465]]",
        ];
        let mut refused = 0;
        for name in NAMES {
            for canary in canaries {
                let Err(error) = parse::<Any>(format!("{{\"{name}\": {canary}}}").as_bytes()) else {
                    continue;
                };
                let JsonError::Invalid(invalid) = error else { panic!("{name} {canary}") };
                let told = format!("{invalid} {invalid:?}");
                assert!(
                    !told.contains("813746") && !told.contains("84467") && !told.contains('\u{1}'),
                    "{told}"
                );
                assert_eq!(invalid.0.len(), 1, "{told}");
                assert!(invalid.0[0].pointer.starts_with(&format!("/{name}")), "{told}");
                assert_ne!(invalid.0[0].message, "", "{told}");
                refused += 1;
            }
        }
        assert!(refused > 130, "{refused}");
        for body in [
            "{\"text\": 8137465",
            "{\"text\": canary8137465}",
            "canary8137465",
            "8137465e999999",
            "\"8137465\"x",
        ] {
            let told = parse::<Any>(body.as_bytes()).unwrap_err().to_string();
            assert!(!told.contains("813746"), "{told}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = |body: &str| {
            let all = refused(body);
            all.iter().map(|(pointer, code)| format!("{pointer} {code}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            told(r#"{"counts": [0, 1, "x", 2.5], "name": "", "type": 6}"#),
            "/counts/0 too_small, /counts/2 type, /counts/3 type, /name too_short, /type too_large"
        );
        assert_eq!(
            told(r#"{"is_admin": true, "role": {"a": 1}, "type": null}"#),
            "/is_admin unknown_field, /role unknown_field, /type type, /name required"
        );
        assert_eq!(
            told(r#"{"counts": [0], "counts": 5, "name": "a\u0000", "x\u0000": "y"}"#),
            "/counts duplicate_field, /name control_characters, /x\u{fffd} control_characters"
        );
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[garde(allow_unvalidated)]
    #[expect(dead_code, reason = "nothing is read")]
    struct Outer {
        first: Inner,
        second: Option<Inner>,
        pair: (u8, bool),
        kind: Kind,
        id: crate::id::UserId,
        uuid: uuid::Uuid,
        day: crate::clock::Date,
        price: crate::decimal::Decimal<9, 2>,
        data: JsonObject,
        #[garde(custom(range(Some(0.5), None)))]
        share: f64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "nothing is read")]
    struct Inner {
        name: SingleLine<1, 5>,
        #[serde(default)]
        many: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "nothing is read")]
    enum Kind {
        Named { count: u8, name: SingleLine<1, 5> },
        One(u8),
        Two(u8, u8),
        None,
    }

    fn field_errors(body: &str) -> Vec<String> {
        let Err(JsonError::Invalid(Invalid(fields))) = parse::<Outer>(body.as_bytes()) else {
            panic!("{body}")
        };
        fields.into_iter().map(|field| format!("{} {}", field.pointer, field.code)).collect()
    }

    #[test]
    fn what_is_missing_is_told_whatever_its_type() {
        let mut told = field_errors("{}");
        told.sort();
        let all = ["data", "day", "first", "id", "kind", "pair", "price", "share", "uuid"];
        assert_eq!(told, all.map(|name| format!("/{name} required")));
    }

    #[test]
    fn what_is_wrong_is_told_however_deep_it_lies() {
        let mut told = field_errors(
            r#"{
                "first": {"name": "abcdef", "many": [{}, {"name": "a", "nam/e": 1}, {"many": 1, "name": 2}]},
                "second": {"many": []}, "pair": [256, 1], "kind": {"named": {"count": "x"}}, "id": "usr_1",
                "uuid": "x", "day": "2026-02-29", "price": "1.234", "data": [], "share": 0.25
            }"#,
        );
        told.sort();
        assert_eq!(
            told,
            [
                "/data type",
                "/day invalid",
                "/first/many/0/name required",
                "/first/many/1/nam~1e unknown_field",
                "/first/many/2/many type",
                "/first/many/2/name type",
                "/first/name too_long",
                "/id invalid",
                "/kind/named/count type",
                "/kind/named/name required",
                "/pair/0 invalid",
                "/pair/1 type",
                "/price invalid",
                "/second/name required",
                "/share too_small",
                "/uuid invalid",
            ]
        );
        for kind in [
            r#""one""#,
            r#"{"two": [1]}"#,
            r#"{"none": 1}"#,
            r#"{"one": 1, "two": [1, 2]}"#,
            "5",
            "null",
            r#""four""#,
        ] {
            let told = field_errors(&format!(r#"{{"kind": {kind}}}"#));
            assert!(told.iter().any(|told| told.starts_with("/kind")) && told.len() == 9, "{kind}: {told:?}");
        }
    }

    #[test]
    fn a_refusal_has_the_parameters_of_its_rule() {
        let Err(JsonError::Invalid(Invalid(fields))) =
            parse::<Body>(br#"{"name": "abcdef", "counts": [0], "type": "x"}"#)
        else {
            panic!("it is taken")
        };
        assert_eq!(
            serde_json::to_value(fields).unwrap(),
            serde_json::json!([
                {"pointer": "/counts/0", "code": "too_small", "message": "must be at least 1", "params": {"min": 1}},
                {"pointer": "/name", "code": "too_long", "message": "must have at most 5 characters", "params": {"max": 5}},
                {"pointer": "/type", "code": "type", "message": "must be an integer, not a string",
                    "params": {"expected": "integer"}},
            ])
        );
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
