//! What a user can be found by besides the e-mail address, which is the kernel's [`Email`](shared_kernel::contact::Email):
//! user name and phone number. Each is normalised where it comes in, so that one person's spelling is one value.

use shared_kernel::contact::{Contact, Refusal};
use shared_kernel::text::comparable;
use unicode_normalization::UnicodeNormalization as _;

/// A user name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Contact for Username {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let name = comparable(text.trim());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        match name.chars().count() {
            ..3 => Err(Refusal::new("too_short", "must have at least 3 characters")),
            51.. => Err(Refusal::new("too_long", "must have at most 50 characters")),
            _ if name.bytes().all(allowed) => Ok(Self(name)),
            _ => Err(Refusal::new("username", "must consist of letters a-z, digits, _ . and -")),
        }
    }
}

/// A phone number in the form of ITU-T E.164: `+` and 7 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// The number.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Contact for Phone {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let number: String = text.trim().nfkc().collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        let fits = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if fits {
            Ok(Self(number))
        } else {
            Err(Refusal::new("phone", "must be a number as in +4915112345678 (E.164)"))
        }
    }
}

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
        assert_eq!(Phone::parse("+4915112345678").unwrap().into_string(), "+4915112345678");
        for text in [
            "4915112345678",
            "+0151123456",
            "+123456",
            "+1234567890123456",
            "+49 151 12345678",
            "+49x5112345678",
        ] {
            assert!(Phone::parse(text).is_err(), "{text}");
        }
    }
}
