//! What a user can be found by: e-mail address, user name, phone number. Each is normalised where it comes in, so that
//! one person's spelling is one value: `Ａda@Example.com` and `ada@example.com` are one address.

use std::fmt;

use garde::rules::email::parse_email;
use shared_kernel::error::Invalid;
use shared_kernel::text::comparable;
use unicode_normalization::UnicodeNormalization as _;

/// Why a text is not what it should be: a code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    /// As a refusal of the field at `pointer`.
    #[must_use]
    pub fn at(self, pointer: &str) -> Invalid {
        Invalid::field(pointer, self.code, self.message)
    }
}

/// A contact that is read from text.
pub trait Contact: Sized {
    /// The value in `text`.
    ///
    /// # Errors
    ///
    /// `text` is not one.
    fn parse(text: &str) -> Result<Self, Refusal>;
}

/// A garde rule: the text is a `C`.
///
/// # Errors
///
/// It is not.
pub fn is<C: Contact>(text: impl AsRef<str>, _context: &()) -> garde::Result {
    match C::parse(text.as_ref()) {
        Ok(_) => Ok(()),
        Err(Refusal { code, message }) => Err(garde::Error::new(format!("{code}: {message}"))),
    }
}

/// An e-mail address: as it is written to, and as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    address: String,
    normalized: String,
}

impl Email {
    /// The longest address that SMTP can carry (RFC 5321, section 4.5.3.1.3).
    pub const MAX_LENGTH: usize = 254;

    /// The address as it is written to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The form in which addresses are compared.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

impl Contact for Email {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let refusal = |message: String| Refusal { code: "email", message };
        let address: String = text.trim().nfkc().collect();
        if address.len() > Self::MAX_LENGTH {
            return Err(Refusal { code: "too_long", message: "must have at most 254 characters".into() });
        }
        // What parses and no mail server takes: empty words before the @, and an IP address for a domain.
        let (local, domain) = address.rsplit_once('@').unwrap_or_default();
        if local.split('.').any(str::is_empty) || domain.starts_with('[') {
            return Err(refusal("is not an e-mail address that mail can be sent to".into()));
        }
        parse_email(&address).map_err(|error| refusal(format!("is not an e-mail address: {error}")))?;
        let normalized = comparable(&address);
        Ok(Self { address, normalized })
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

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
            ..3 => Err(Refusal { code: "too_short", message: "must have at least 3 characters".into() }),
            51.. => Err(Refusal { code: "too_long", message: "must have at most 50 characters".into() }),
            _ if name.bytes().all(allowed) => Ok(Self(name)),
            _ => Err(Refusal {
                code: "username",
                message: "must consist of letters a-z, digits, _ . and -".into(),
            }),
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
            Err(Refusal { code: "phone", message: "must be a number as in +4915112345678 (E.164)".into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for text in ["Ada@Example.COM", "  ada@example.com ", "Ａda@example.com", "ADA@EXAMPLE.COM"] {
            assert_eq!(Email::parse(text).unwrap().normalized(), "ada@example.com", "{text}");
        }
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a@[127.0.0.1]",
            "ada@example.com\nBcc: x@example.com",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        let longest = format!("{}@{}.com", "a".repeat(64), "b.".repeat(92) + "c");
        assert_eq!(longest.len(), 254);
        assert!(Email::parse(&longest).is_ok());
        assert!(Email::parse(&longest.replace(".com", ".comm")).is_err());
    }

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
