//! Strings as people type them.
//!
//! [`Line`] is what a one-line field holds, [`Prose`] what a text area holds: both are trimmed, so that a length rule counts what
//! is kept. Control characters never get here from JSON: [`json`](crate::json) refuses them first; a line also refuses
//! line breaks and tabs.

use std::fmt;
use std::ops::Deref;

use garde::rules::length::chars::HasChars;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde::{Deserialize, Deserializer, Serialize};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;

use crate::refused::Refused;

/// One line of text: trimmed, without line breaks or tabs, in Unicode normalisation form C.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Line(String);

/// Several lines of text: trimmed, in Unicode normalisation form C.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Prose(String);

impl Line {
    /// `text` as a line.
    ///
    /// # Errors
    ///
    /// It has control characters.
    pub fn new(text: &str) -> Result<Self, HasControlCharacters> {
        if text.contains(is_refused_in_line) {
            Err(HasControlCharacters)
        } else {
            Ok(Self(text.trim().nfc().collect()))
        }
    }
}

impl Prose {
    /// `text` as prose.
    ///
    /// # Errors
    ///
    /// It has control characters other than line breaks and tabs.
    pub fn new(text: &str) -> Result<Self, HasControlCharacters> {
        if text.contains(is_refused) {
            Err(HasControlCharacters)
        } else {
            Ok(Self(text.trim().nfc().collect()))
        }
    }
}

/// The text has characters that no person types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not contain control characters")]
pub struct HasControlCharacters;

/// Control characters that no text of ours may have: all but line breaks and tabs. (ASVS 5.0, 2.2.1; PostgreSQL stores
/// no NUL.)
#[must_use]
pub fn is_refused(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn is_refused_in_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The form in which names that must be unique whatever their spelling are compared: Unicode compatibility
/// normalisation (NFKC, UAX #15) and lower case. `Ａnna` and `anna` are one. What is looked for and put in order is
/// [`folded`], which goes further: two names that are one there may be two people's.
#[must_use]
pub fn comparable(text: &str) -> String {
    // Lower case can denormalise and normalisation can bring capitals: twice settles both (Unicode 3.13, toNFKC_Casefold).
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    folded.nfkc().flat_map(char::to_lowercase).collect()
}

/// The form in which texts are searched and put in order: full case folding with compatibility normalisation, and without
/// characters that nobody sees (The Unicode Standard, section 3.13, `toNFKC_Casefold`). `ΟΔΥΣΣΕΎΣ` and `Οδυσσεύς` are one, and
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

/// The pattern of `LIKE … ESCAPE '\'` for columns that hold the [`folded`] form of texts: those that contain `text`,
/// whatever its spelling, and in which `%` and `_` mean themselves.
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

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(|error| {
                    serde::de::Error::custom(Refused::new("control_characters", error.to_string()))
                })
            }
        }

        impl HasChars for $name {
            fn num_chars(&self) -> usize {
                self.0.chars().count()
            }
        }
    };
}

text_type!(Line);
text_type!(Prose);

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

    #[test]
    fn a_line_is_trimmed_and_is_one_line() {
        assert_eq!(&*Line::new("  Ada \u{a0}").unwrap(), "Ada");
        for text in ["a\nb", "a\tb", "a\0b", "a\u{2028}b", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(Line::new(text), Err(HasControlCharacters), "{text:?}");
        }
        assert_eq!(&*Prose::new("a\nb").unwrap(), "a\nb");
        assert_eq!(Prose::new("a\0b"), Err(HasControlCharacters));
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
