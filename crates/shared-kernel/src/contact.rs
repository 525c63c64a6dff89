//! E-mail addresses and web addresses. They are normalised on input, so that different spellings of an address are equal:
//! `Ａda@Example.com` and `ada@example.com`, `ada@münchen.de` and `ada@xn--mnchen-3ya.de`.
//!
//! Both are [types of fields](crate::field).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::Deref;

use garde::rules::email::parse_email;
use serde::{Serialize, Serializer};
use unicode_normalization::UnicodeNormalization as _;
use url::{Host, Position, Url};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use crate::field::{FieldSchema, TextField, ValidationError, too_long};
use crate::text::{comparable, control_characters};
use crate::text_field;

/// An e-mail address of at most `MAX` characters in ASCII, with the form in which addresses are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress<const MAX: usize> {
    address: String,
    normalized: String,
}

/// Any e-mail address that SMTP can carry (RFC 5321, section 4.5.3.1.3).
pub type Email = EmailAddress<254>;

impl Email {
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 254;

    /// `address` as it is sent over SMTP: with its domain in ASCII.
    #[must_use]
    pub fn in_ascii(address: &str) -> String {
        match address.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", ascii_domain(domain)),
            None => address.to_owned(),
        }
    }

    /// The form in which the address in `text` is compared: in lower case, the domain as mail servers know it (UTS #46, not
    /// transitional). The result for an invalid address equals that of no valid one.
    #[must_use]
    pub fn comparable(text: &str) -> String {
        let written = written(text);
        match written.rsplit_once('@') {
            Some((local, domain)) => format!("{}@{}", comparable(local), comparable(&ascii_domain(domain))),
            None => comparable(&written),
        }
    }
}

/// The stored form of the address in `text`: full-width letters and signs become ASCII (NFKC, UAX #15).
fn written(text: &str) -> String {
    text.trim().nfkc().collect()
}

impl<const MAX: usize> EmailAddress<MAX> {
    /// The address to which mail is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The address to which mail is sent.
    #[must_use]
    pub fn into_string(self) -> String {
        self.address
    }

    /// The [form in which addresses are compared](Email::comparable).
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

/// `domain` with its labels in ASCII (`xn--…`); unchanged if all labels are ASCII already or one cannot be converted.
fn ascii_domain(domain: &str) -> Cow<'_, str> {
    if domain.is_ascii() {
        return domain.into();
    }
    match Host::parse(domain) {
        Ok(Host::Domain(name)) => name.into(),
        Ok(_) | Err(_) => domain.into(),
    }
}

/// `text` with the labels of a domain in ASCII: the other form in which a column may have it.
pub(crate) fn in_ascii_labels(text: &str) -> Option<String> {
    let (before, domain) = match text.rsplit_once('@') {
        Some((local, domain)) => (format!("{local}@"), domain),
        None => (String::new(), text),
    };
    match ascii_domain(domain.trim()) {
        Cow::Owned(name) => Some(before + &name),
        Cow::Borrowed(_) => None,
    }
}

impl<const MAX: usize> TextField for EmailAddress<MAX> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.contains(char::is_control) {
            return Err(control_characters());
        }
        let refused = || ValidationError::new("email", "must be an e-mail address that mail can be sent to");
        // Normalisation does not shorten a text much, so a text that is far too long is refused before it.
        if text.len() > 16 * MAX {
            return Err(too_long(MAX));
        }
        let address = written(text);
        let (local, domain) = address.rsplit_once('@').unwrap_or_default();
        let sent = Email::in_ascii(&address);
        // SMTP sends the domain in ASCII, which is longer.
        if address.len().max(sent.len()) > MAX {
            return Err(too_long(MAX));
        }
        // Addresses that can be parsed and no mail server accepts: an empty part before the @, an IP address in any form instead of a
        // domain, and invalid Punycode.
        let is_name = matches!(Host::parse(domain), Ok(Host::Domain(_)));
        if local.split('.').any(str::is_empty) || !is_name || parse_email(&sent).is_err() {
            return Err(refused());
        }
        let normalized = Email::comparable(&address);
        Ok(Self { address, normalized })
    }

    fn example() -> Cow<'static, str> {
        "ada@example.com".into()
    }
}

impl<const MAX: usize> fmt::Display for EmailAddress<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl<const MAX: usize> Serialize for EmailAddress<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.address)
    }
}

impl<const MAX: usize> FieldSchema for EmailAddress<MAX> {
    fn name() -> Cow<'static, str> {
        format!("Email_{MAX}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Email))).max_length(Some(MAX))
    }
}

text_field!(EmailAddress<const MAX: usize>);

/// A web address: an absolute `http` or `https` URL of at most `MAX` characters, without a user name and a password, which a
/// link would disclose. It is normalised as in browsers (WHATWG URL): their corrections are applied, and letters beyond ASCII are
/// encoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct WebAddress<const MAX: usize>(String);

/// A web address of at most 2,048 characters: longer ones fail in some browsers, mail programs and proxies.
pub type WebUrl = WebAddress<2048>;

impl<const MAX: usize> WebAddress<MAX> {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Deref for WebAddress<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TextField for WebAddress<MAX> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.contains(char::is_control) {
            return Err(control_characters());
        }
        let text = text.trim();
        // A character becomes at most twelve (four bytes, percent-encoded); normalisation does not shorten an address much.
        if text.len() > 16 * MAX {
            return Err(too_long(MAX));
        }
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        });
        let url = url.ok_or_else(|| {
            ValidationError::new(
                "url",
                "must be an absolute http or https URL without a user name, as in https://example.com/a",
            )
        })?;
        if !is_percent_encoded(url.as_str()) {
            return Err(ValidationError::new(
                "url",
                "must have two hexadecimal digits after each %; the character itself is %25",
            ));
        }
        let text = encoded(&url);
        if text.len() > MAX { Err(too_long(MAX)) } else { Ok(Self(text)) }
    }

    fn example() -> Cow<'static, str> {
        "https://example.com/a".into()
    }
}

/// The URL with all characters percent-encoded that browsers leave as they are and that a URI cannot have (RFC 3986, section 3.3 to
/// 3.5): brackets other than those of an IPv6 address, and `#` within a fragment.
fn encoded(url: &Url) -> String {
    let mut text = url[..Position::BeforePath].to_owned();
    let mut in_fragment = false;
    for character in url[Position::BeforePath..].chars() {
        match character {
            '#' if !in_fragment => {
                in_fragment = true;
                text.push('#');
            }
            '#' | '[' | ']' | '{' | '}' | '|' | '^' | '\\' | '`' => {
                // Writing into a string does not fail.
                let _ = write!(text, "%{:02X}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text
}

/// Whether two hexadecimal digits follow each `%` (RFC 3986, section 2.1). Browsers accept others, and no URI has them.
fn is_percent_encoded(url: &str) -> bool {
    let is_code = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    url.split('%').skip(1).all(is_code)
}

impl<const MAX: usize> fmt::Display for WebAddress<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> FieldSchema for WebAddress<MAX> {
    fn name() -> Cow<'static, str> {
        format!("WebUrl_{MAX}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uri)))
            .max_length(Some(MAX))
            .pattern(Some(URL_PATTERN))
    }
}

/// The rule as a pattern of JSON Schema: a match is accepted, unless it is too long or has invalid Punycode. The
/// parser accepts and normalises more: IPv6 addresses as hosts, letters beyond ASCII.
const URL_PATTERN: &str = concat!(
    "^[Hh][Tt][Tt][Pp][Ss]?://",
    r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
    r"|([A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?)",
    "(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?",
    "([/?]([!$&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})*)?(#([!$&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})*)?$",
);

text_field!(WebAddress<const MAX: usize>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        for text in ["Ada@Example.COM", "  ada@example.com ", "Ａda@example.com", "ADA@EXAMPLE.COM"] {
            assert_eq!(Email::parse(text).unwrap().normalized(), "ada@example.com", "{text}");
        }
        for text in
            ["x@m\u{fc}nchen.de", "X@xn--mnchen-3ya.de", "x@M\u{dc}NCHEN.DE", "x@mu\u{308}nchen\u{3002}de"]
        {
            assert_eq!(Email::parse(text).unwrap().normalized(), "x@xn--mnchen-3ya.de", "{text}");
        }
        // Two domains, and the address is shown as it was typed.
        let sharp = Email::parse("x@fa\u{df}.de").unwrap();
        assert_eq!((sharp.as_str(), sharp.normalized()), ("x@fa\u{df}.de", "x@xn--fa-hia.de"));
        assert_eq!(Email::parse("x@fass.de").unwrap().normalized(), "x@fass.de");
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@127.1",
            "a@0x7f000001",
            "a@2130706433",
            "a@example.1",
            "a@xn--a",
            "a@m\u{fc}nchen..de",
            "a@m\u{fc}nchen.de@example.com",
            "\u{fc}@example.com",
            "a@exa%6dple.com",
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
    fn a_web_address_is_kept_as_browsers_write_it() {
        for (text, kept) in [
            ("https://example.com", "https://example.com/"),
            (
                " HTTP://Example.COM:8080/A/../b?c=%20&d=?#e/f?\u{a0}",
                "http://example.com:8080/b?c=%20&d=?#e/f?",
            ),
            ("http://127.1:80/", "http://127.0.0.1/"),
            ("http://[2001:DB8::1]", "http://[2001:db8::1]/"),
            ("https:\\\\example.com\\@evil.example", "https://example.com/@evil.example"),
            ("https:example.com", "https://example.com/"),
            ("https://m\u{fc}nchen.de/\u{fc}", "https://xn--mnchen-3ya.de/%C3%BC"),
            ("https://example.com/\u{202e}gpj.exe", "https://example.com/%E2%80%AEgpj.exe"),
            ("https://example.com/\"><script>", "https://example.com/%22%3E%3Cscript%3E"),
            ("https://example.com?next=https://a@b", "https://example.com/?next=https://a@b"),
            (
                "https://example.com/a|b?c[]=1&d={e}^#f#g[",
                "https://example.com/a%7Cb?c%5B%5D=1&d=%7Be%7D%5E#f%23g%5B",
            ),
            ("https://example.com/100%25?a=%2f%c3%BC", "https://example.com/100%25?a=%2f%c3%BC"),
        ] {
            let address = WebUrl::parse(text).unwrap();
            assert_eq!((address.as_str(), &*address.to_string()), (kept, kept));
            assert_eq!(WebUrl::parse(kept).unwrap().into_string(), kept);
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let code = |text: &str| WebUrl::parse(text).unwrap_err().code().to_owned();
        for text in [
            "",
            "example.com",
            "//example.com",
            "/a",
            "https://",
            "https://?a",
            "https://:80",
            "https://ada@example.com",
            "https://ada:secret@example.com",
            "https://:secret@example.com",
            "https://exa mple.com",
            "https://xn--a/",
            "https://1.2.3.4.5/",
            "https://[::1",
            "https://[fe80::1%25eth0]",
            "https://example.com:65536",
            "ftp://example.com",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,a",
            "mailto:ada@example.com",
            "https://example.com/%",
            "https://example.com/100%/a",
            "https://example.com/?a=%2",
            "https://example.com/#%zz",
        ] {
            assert_eq!(code(text), "url", "{text:?}");
        }
        assert_eq!(code("https://exa\nmple.com"), "control_characters");
        let longest = format!("https://example.com/{}", "a".repeat(2028));
        assert!(WebUrl::parse(&longest).is_ok());
        assert_eq!(code(&format!("{longest}a")), "too_long");
        assert_eq!(
            code(&format!("https://example.com/{}", "\u{4e00}".repeat(300))),
            "too_long",
            "as it is kept"
        );
    }

    /// The pattern with few repetitions, so that what matches it is not too long.
    fn bounded() -> String {
        let pattern = URL_PATTERN.trim_matches(['^', '$']);
        pattern.replace("]*", "]{0,9}").replace("\\.)*", "\\.){0,4}")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_the_pattern_matches_is_taken(text in proptest::string::string_regex(&bounded()).unwrap()) {
            prop_assert!(WebUrl::parse(&text).is_ok() || text.to_ascii_lowercase().contains("xn--"), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "(https?://)?.{0,40}") {
            if let Ok(address) = WebUrl::parse(&text) {
                prop_assert_eq!(WebUrl::parse(address.as_str()), Ok(address));
            }
        }
    }
}
