//! Text input.
//!
//! [`SingleLine`] is the type of a one-line input, [`MultiLine`] that of a text area. Both are trimmed before their characters
//! are counted, so that a length limit applies to the stored text.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde::Serialize;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;
use utoipa::openapi::schema::ObjectBuilder;

use crate::field::{FieldSchema, TextField, ValidationError, check_length};
use crate::text_field;

/// One line of `MIN` to `MAX` characters (Unicode code points): trimmed, without line breaks or tabs, in Unicode normalisation
/// form C (UAX #15). Unless it may be empty, at least one character is visible.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SingleLine<const MIN: usize, const MAX: usize>(String);

/// Several lines of `MIN` to `MAX` characters (Unicode code points) together: trimmed, in Unicode normalisation form C
/// (UAX #15). Unless it may be empty, at least one character is visible.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct MultiLine<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> TextField for SingleLine<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.contains(is_refused_in_line) {
            return Err(control_characters());
        }
        kept(text, MIN, MAX).map(Self)
    }

    fn example() -> Cow<'static, str> {
        example(MIN, MAX)
    }
}

impl<const MIN: usize, const MAX: usize> TextField for MultiLine<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.contains(is_refused) {
            return Err(control_characters());
        }
        kept(text, MIN, MAX).map(Self)
    }

    fn example() -> Cow<'static, str> {
        example(MIN, MAX)
    }
}

/// The normal form of `text`, if it has `min` to `max` characters.
fn kept(text: &str, min: usize, max: usize) -> Result<String, ValidationError> {
    let kept: String = text.trim().nfc().collect();
    check_length(&kept, min, max)?;
    if min > 0 && !kept.contains(is_visible) {
        return Err(ValidationError::new("blank", "must have a visible character"));
    }
    Ok(kept)
}

/// A word that is repeated or truncated to fit.
fn example(min: usize, max: usize) -> Cow<'static, str> {
    const WORD: &str = "Text";
    if (min..=max).contains(&WORD.len()) {
        return WORD.into();
    }
    WORD.chars().cycle().take(WORD.len().clamp(min, max)).collect::<String>().into()
}

/// Characters that are not allowed in a line, as a class of a regular expression (ECMA-262).
const NOT_IN_LINE: &str = r"\x00-\x1f\x7f-\x9f\u2028\u2029";
/// Characters that are not allowed in any text.
const NOT_IN_TEXT: &str = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f";
/// Invisible characters of the Basic Multilingual Plane; those beyond are written differently in the dialects of regular expressions.
const INVISIBLE: &str = r"\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8";

/// Pattern of a trimmed text of at least `min` characters, without those of the class `refused`.
fn pattern(min: usize, refused: &str) -> String {
    match min {
        0 => format!("^[^{refused}]*$"),
        1 => format!("^[^{refused}]*[^{INVISIBLE}{refused}][^{refused}]*$"),
        _ => format!(r"^[^{refused}]*[^\s{refused}][^{refused}]{{{},}}[^\s{refused}][^{refused}]*$", min - 2),
    }
}

fn rules(schema: ObjectBuilder, min: usize, max: usize, refused: &str) -> ObjectBuilder {
    let schema = if min > 0 { schema.min_length(Some(min)) } else { schema };
    schema.max_length(Some(max)).pattern(Some(pattern(min, refused)))
}

impl<const MIN: usize, const MAX: usize> FieldSchema for SingleLine<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("SingleLine_{MIN}_{MAX}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        rules(schema, MIN, MAX, NOT_IN_LINE)
    }
}

impl<const MIN: usize, const MAX: usize> FieldSchema for MultiLine<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("MultiLine_{MIN}_{MAX}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        rules(schema, MIN, MAX, NOT_IN_TEXT)
    }
}

/// The error of a text with control characters.
#[must_use]
pub fn control_characters() -> ValidationError {
    ValidationError::new("control_characters", "must not contain control characters")
}

/// Whether a character is visible: not white space, not a control character, not ignorable
/// (`Default_Ignorable_Code_Point`, UAX #44: joiners, direction marks, fillers) and not the empty Braille pattern.
fn is_visible(character: char) -> bool {
    const EMPTY_BRAILLE: char = '\u{2800}';
    !(character.is_whitespace()
        || character.is_control()
        || character == EMPTY_BRAILLE
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character))
}

/// Whether a character is a control character that is refused in all texts: any but line breaks and tabs. (ASVS 5.0, 2.2.1;
/// PostgreSQL cannot store NUL.)
#[must_use]
pub fn is_refused(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn is_refused_in_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The form in which names are compared that must be unique whatever their spelling: Unicode compatibility
/// normalisation (NFKC, UAX #15) and lower case. `Ａnna` and `anna` are equal. Search and sorting use
/// [`folded`], which goes further: names of different users may be equal there.
#[must_use]
pub fn comparable(text: &str) -> String {
    // Lower case can denormalise and normalisation can bring capitals: twice settles both (Unicode 3.13, toNFKC_Casefold).
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    folded.nfkc().flat_map(char::to_lowercase).collect()
}

/// The form in which texts are searched and sorted: full case folding with compatibility normalisation, and without
/// invisible characters (The Unicode Standard, section 3.13, `toNFKC_Casefold`). `ΟΔΥΣΣΕΎΣ` and `Οδυσσεύς` are equal, and
/// so are `Straße` and `STRASSE`.
#[must_use]
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Normalisation can bring capitals, and folding can denormalise: twice settles both. The decomposition comes first for the
    // Greek iota below (U+0345), which folds to a letter and moves before other marks.
    let once: String = fold(&text.nfd().collect::<String>()).nfkd().collect();
    let unseen = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    fold(&once).chars().filter(|character| !unseen.contains(*character)).nfkc().collect()
}

fn fold(text: &str) -> String {
    UniCase::unicode(text).to_folded_case()
}

/// The pattern of `LIKE … ESCAPE '\'` that finds `text`, whatever its spelling, in columns with the [`folded`] form of texts. `%`
/// and `_` in `text` are escaped.
#[must_use]
pub fn contains_pattern(text: &str) -> String {
    let text = folded(text);
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

macro_rules! text {
    ($name:ident) => {
        impl<const MIN: usize, const MAX: usize> $name<MIN, MAX> {
            /// The text itself.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl<const MIN: usize, const MAX: usize> Deref for $name<MIN, MAX> {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl<const MIN: usize, const MAX: usize> AsRef<str> for $name<MIN, MAX> {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<const MIN: usize, const MAX: usize> fmt::Display for $name<MIN, MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_field!($name<const MIN: usize, const MAX: usize>);
    };
}

text!(SingleLine);
text!(MultiLine);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_name_compare_equal() {
        for spelling in ["Ａnna", "ANNA", "anna"] {
            assert_eq!(comparable(spelling), "anna");
        }
        assert_eq!(comparable("Straße"), comparable("STRAßE"));
        assert_eq!(comparable("I\u{307}stanbul"), comparable("İstanbul"));
    }

    #[test]
    fn spellings_of_one_word_are_found_alike() {
        for (one, other) in [
            ("ΟΔΥΣΣΕΎΣ", "Οδυσσεύς"),
            ("ΟΔΥΣΣΕΎΣ", "οδυσσεύσ"),
            ("Straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("ﬁancé", "FIANCE\u{301}"),
            ("Ａnna", "ANNA"),
            ("\u{1fb4}", "\u{3ac}\u{345}"),
            ("ᾼ", "αι"),
            ("co\u{ad}op\u{200b}", "coop"),
            ("I\u{307}stanbul", "İstanbul"),
            ("Ꭰ", "ꭰ"),
            ("№ ½", "no 1⁄2"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("Öl"), folded("Ol"));
    }

    #[test]
    fn a_pattern_takes_the_text_as_it_is() {
        assert_eq!(contains_pattern("Ada"), "%ada%");
        assert_eq!(contains_pattern(r"50%_\Ａ"), r"%50\%\_\\a%");
        assert_eq!(contains_pattern(""), "%%");
        // What only its comparable form has.
        assert_eq!(contains_pattern("\u{ff05}\u{ff3f}\u{ff3c}"), r"%\%\_\\%");
    }

    fn code<T: TextField>(text: &str) -> Option<String> {
        T::parse(text).err().map(|error| error.code().to_owned())
    }

    #[test]
    fn a_line_is_trimmed_and_is_one_line() {
        type Line = SingleLine<0, 10>;
        type Lines = MultiLine<0, 10>;
        assert_eq!(&*Line::parse("  Ada \u{a0}").unwrap(), "Ada");
        for text in ["a\nb", "a\tb", "a\0b", "a\u{2028}b", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(code::<Line>(text).as_deref(), Some("control_characters"), "{text:?}");
        }
        assert_eq!(&*Lines::parse("a\nb").unwrap(), "a\nb");
        assert_eq!(code::<Lines>("a\0b").as_deref(), Some("control_characters"));
        assert_eq!(&*Line::parse("").unwrap(), "");
        assert_eq!(&*Line::parse("\u{200b}").unwrap(), "\u{200b}", "what may be empty may be that");
    }

    #[test]
    fn characters_are_counted_as_they_are_kept() {
        type Name = SingleLine<2, 3>;
        for text in ["ab", "abc", "äöü", " äö ", "a\u{308}o\u{308}u\u{308}", "\u{1f4a1}\u{1f4a1}"] {
            assert_eq!(code::<Name>(text), None, "{text}");
        }
        for (text, expected) in [
            ("", "too_short"),
            ("   ", "too_short"),
            ("a", "too_short"),
            (" a ", "too_short"),
            ("\u{1f4a1}", "too_short"),
            ("abcd", "too_long"),
            ("a\u{301}\u{301}\u{301}\u{301}", "too_long"),
        ] {
            assert_eq!(code::<Name>(text).as_deref(), Some(expected), "{text}");
        }
        let error = serde_json::to_value(Name::parse("a").unwrap_err().at("/name")).unwrap();
        let told = serde_json::json!({
            "pointer": "/name", "code": "too_short", "message": "must have at least 2 characters", "params": {"min": 2}
        });
        assert_eq!(error, told);
    }

    #[test]
    fn something_of_a_text_is_seen() {
        for text in
            ["\u{200b}", "\u{ad}\u{2060}", "\u{3164}", "\u{2800}", "\u{e0041}\u{fe0f}", "\u{202e}\u{202c}"]
        {
            assert_eq!(code::<SingleLine<1, 100>>(text).as_deref(), Some("blank"), "{text:?}");
            assert_eq!(code::<MultiLine<1, 100>>(text).as_deref(), Some("blank"), "{text:?}");
            let class = garde::rules::pattern::regex::Regex::new(&pattern(1, NOT_IN_LINE)).unwrap();
            assert!(text.contains('\u{e0041}') || !class.is_match(text), "{text:?}");
            assert!(class.is_match("a") && class.is_match("\u{200d}a\u{200d}"));
        }
        // A family of four, a heart in red, Persian with a non-joiner, Sinhala with a joiner, a flag of tags.
        for text in [
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
            "\u{2764}\u{fe0f}",
            "می\u{200c}خواهم",
            "ක්\u{200d}ෂ",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}",
            "☃",
            ".",
        ] {
            assert_eq!(&*SingleLine::<1, 100>::parse(text).unwrap(), text);
        }
    }

    #[test]
    fn examples_keep_the_rule() {
        fn keeps<T: TextField>() {
            assert_eq!(code::<T>(&T::example()), None, "{}", T::example());
        }
        keeps::<SingleLine<0, 1>>();
        keeps::<SingleLine<1, 3>>();
        keeps::<SingleLine<50, 60>>();
        keeps::<MultiLine<1, 10_000>>();
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
