//! User names and phone numbers, which identify a user like the e-mail address (the kernel's
//! [`Email`](shared_kernel::contact::Email)). They are normalised on input, so that different spellings are equal.

use std::borrow::Cow;

use shared_kernel::field::{FieldSchema, TextField, ValidationError, check_length};
use shared_kernel::text::comparable;
use shared_kernel::text_field;
use unicode_normalization::UnicodeNormalization as _;
use utoipa::openapi::schema::ObjectBuilder;

/// A user name: 3 to 50 of `a-z 0-9 _ . -`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    const MIN_LENGTH: usize = 3;
    const MAX_LENGTH: usize = 50;

    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextField for Username {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let name = comparable(text.trim());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        check_length(&name, Self::MIN_LENGTH, Self::MAX_LENGTH)?;
        if name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(ValidationError::new("username", "must consist of letters a-z, digits, _ . and -"))
        }
    }

    fn example() -> Cow<'static, str> {
        "ada".into()
    }
}

impl FieldSchema for Username {
    fn name() -> Cow<'static, str> {
        "Username".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema
            .min_length(Some(Self::MIN_LENGTH))
            .max_length(Some(Self::MAX_LENGTH))
            .pattern(Some("^[A-Za-z0-9_.-]+$"))
    }
}

text_field!(Username);

/// A phone number in the form of ITU-T E.164: `+` and 7 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The number.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TextField for PhoneNumber {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let number: String = text.trim().nfkc().collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        let fits = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if fits {
            Ok(Self(number))
        } else {
            Err(ValidationError::new("phone", "must be a phone number as in +4915112345678 (E.164)"))
        }
    }

    fn example() -> Cow<'static, str> {
        "+4915112345678".into()
    }
}

impl FieldSchema for PhoneNumber {
    fn name() -> Cow<'static, str> {
        "PhoneNumber".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.pattern(Some(r"^\+[1-9][0-9]{6,14}$"))
    }
}

text_field!(PhoneNumber);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_lower_case_ascii() {
        assert_eq!(Username::parse(" Ada_L.1-x ").unwrap().into_string(), "ada_l.1-x");
        for text in ["ab", "a b c", "ада", "a/b", &"a".repeat(51)] {
            assert!(Username::parse(text).is_err(), "{text}");
        }
        assert!(Username::parse(&"a".repeat(50)).is_ok());
    }

    #[test]
    fn a_phone_number_is_e164() {
        assert_eq!(PhoneNumber::parse("+4915112345678").unwrap().into_string(), "+4915112345678");
        for text in [
            "4915112345678",
            "+0151123456",
            "+123456",
            "+1234567890123456",
            "+49 151 12345678",
            "+49x5112345678",
        ] {
            assert!(PhoneNumber::parse(text).is_err(), "{text}");
        }
    }
}
