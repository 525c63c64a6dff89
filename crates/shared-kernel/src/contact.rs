//! How somebody or something is reached: e-mail addresses and web addresses. What is compared is normalised where it comes
//! in, so that one person's spelling is one value: `Ａda@Example.com` and `ada@example.com` are one address, and so are
//! `ada@münchen.de` and `ada@xn--mnchen-3ya.de`.
//!
//! # Adding a kind of contact
//!
//! A type that keeps its rule, and [`Contact`]: the garde rule [`is`] and the refusal of a field come with it. One that a
//! single domain uses lives there.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use garde::rules::email::parse_email;
use unicode_normalization::UnicodeNormalization as _;
use url::Host;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::error::Invalid;
use crate::text::comparable;

/// Why a text is not what it should be: a code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    /// A refusal with that stable code, in `snake_case`, and that sentence, which goes on after the field's name.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

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

    /// `text` as an address is kept: full-width letters and signs become those that mail knows (NFKC, UAX #15). That it is an
    /// address is for [`parse`](Contact::parse) to say.
    #[must_use]
    pub fn written(text: &str) -> String {
        text.trim().nfkc().collect()
    }

    /// The address as it is written to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The form in which addresses are compared: that of [`comparable`](Self::comparable).
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// `address` as it travels: its domain in ASCII.
    #[must_use]
    pub fn in_ascii(address: &str) -> String {
        match address.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", ascii_domain(domain)),
            None => address.to_owned(),
        }
    }

    /// The form in which the address in `text` is compared: in lower case, the domain as mail servers know it (UTS #46, not
    /// transitional). Of a text that is no address it is something that no address has.
    #[must_use]
    pub fn comparable(text: &str) -> String {
        let written = Self::written(text);
        match written.rsplit_once('@') {
            Some((local, domain)) => format!("{}@{}", comparable(local), comparable(&ascii_domain(domain))),
            None => comparable(&written),
        }
    }
}

/// `domain` with its labels in ASCII (`xn--…`), as it is if it has none but those, or cannot be written so.
fn ascii_domain(domain: &str) -> Cow<'_, str> {
    if domain.is_ascii() {
        return domain.into();
    }
    match Host::parse(domain) {
        Ok(Host::Domain(name)) => name.into(),
        Ok(_) | Err(_) => domain.into(),
    }
}

/// Another way to write `text` in which a column may have it: the labels of a domain in ASCII.
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

impl Contact for Email {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let refusal = |message: String| Refusal { code: "email", message };
        let too_long = || Refusal { code: "too_long", message: "must have at most 254 characters".into() };
        // What normalisation leaves is not much shorter; what is far too long is not even normalised.
        if text.len() > 16 * Self::MAX_LENGTH {
            return Err(too_long());
        }
        let address = Self::written(text);
        let (local, domain) = address.rsplit_once('@').unwrap_or_default();
        let sent = Self::in_ascii(&address);
        // On the wire the domain is ASCII, which is longer.
        if address.len().max(sent.len()) > Self::MAX_LENGTH {
            return Err(too_long());
        }
        // What parses and no mail server takes: empty words before the @, an IP address in whatever form for a domain, and
        // Punycode that is none.
        let is_name = matches!(Host::parse(domain), Ok(Host::Domain(_)));
        if !domain.is_empty() && (local.split('.').any(str::is_empty) || !is_name) {
            return Err(refusal("is not an e-mail address that mail can be sent to".into()));
        }
        parse_email(&sent).map_err(|error| refusal(format!("is not an e-mail address: {error}")))?;
        let normalized = Self::comparable(&address);
        Ok(Self { address, normalized })
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// The address of a page or a service on the web: an absolute `http` or `https` URL, as it was typed.
///
/// It has no user name and no password: a link would show them to everyone. It is ASCII (RFC 3986); letters beyond that come
/// as browsers copy them, percent-encoded or as `xn--…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(String);

impl WebAddress {
    /// The longest that is taken, in characters. Longer ones break on their way through browsers, mail and proxies.
    pub const MAX_LENGTH: usize = 2048;

    /// The rule as a pattern of JSON Schema. What matches is taken, unless it is too long or claims to be Punycode and is
    /// none (`xn--a`); what does not is refused, but for hosts that are IPv6 addresses.
    pub const PATTERN: &'static str = concat!(
        "^[Hh][Tt][Tt][Pp][Ss]?://",
        "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
        "|([A-Za-z0-9_]+(-+[A-Za-z0-9_]+)*\\.)*[A-Za-z_][A-Za-z0-9_]*(-+[A-Za-z0-9_]+)*)",
        "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?",
        "(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?",
        "(\\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
        "(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$",
    );

    /// The address as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as it was typed.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Contact for WebAddress {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let address = text.trim();
        if address.chars().count() > Self::MAX_LENGTH {
            Err(Refusal::new("too_long", "must have at most 2048 characters"))
        } else if is_written_as_url(address) && url::Url::parse(address).is_ok() {
            Ok(Self(address.to_owned()))
        } else {
            Err(Refusal::new(
                "url",
                "must be an absolute http or https URL without a user name, as in https://example.com/a%20b",
            ))
        }
    }
}

/// The parser mends what browsers mend: it adds slashes, turns them round, skips line breaks, reads `0x7f.1` as an address.
/// Since the text is kept as it is, others would read it in another way; so it is refused here.
fn is_written_as_url(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path_and_query, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"))
        && is_authority(authority)
        && is_encoded(path_and_query)
        && is_encoded(fragment)
}

fn is_authority(authority: &str) -> bool {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => is_host(host) && is_port(port),
        _ => is_host(authority),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    // A last word that starts with a digit makes the whole a number, for some.
    let last = host.rsplit('.').next().unwrap_or_default();
    host.parse::<Ipv4Addr>().is_ok()
        || (!last.starts_with(|first: char| first.is_ascii_digit()) && host.split('.').all(is_label))
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(allowed)
}

fn is_port(port: &str) -> bool {
    let padded = port.len() > 4 && port.starts_with('0');
    !padded && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Nothing but what may stand in a path, a query or a fragment (RFC 3986, sections 3.3 to 3.5).
fn is_encoded(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
    let starts_with_code =
        |piece: &str| piece.len() >= 2 && piece.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.bytes().all(|byte| allowed(byte) || byte == b'%') && text.split('%').skip(1).all(starts_with_code)
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// A field that takes a contact is a `Line`, so that its refusal is a rule's and not a parser's. Its schema is one of these:
// `#[schema(value_type = WebAddress)]`.
impl PartialSchema for Email {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("An e-mail address."))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
            .max_length(Some(Self::MAX_LENGTH))
            .examples(["ada@example.com"])
            .into()
    }
}

impl ToSchema for Email {
    fn name() -> Cow<'static, str> {
        "Email".into()
    }
}

impl PartialSchema for WebAddress {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("An absolute http or https URL without a user name."))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uri)))
            .max_length(Some(Self::MAX_LENGTH))
            .pattern(Some(Self::PATTERN))
            .examples(["https://example.com/a"])
            .into()
    }
}

impl ToSchema for WebAddress {
    fn name() -> Cow<'static, str> {
        "WebAddress".into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use garde::Validate;
    use garde::rules::pattern::regex::Regex;
    use proptest::prelude::*;

    use super::*;
    use crate::patch::Patch;
    use crate::text::Line;

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
    fn a_web_address_is_kept_as_it_was_typed() {
        for text in [
            "https://example.com",
            "HTTP://Example.COM:8080/A/../b?c=%20&d=?#e/f?",
            "http://localhost",
            "http://my_service:3000/",
            "http://127.0.0.1:65535/",
            "http://[::1]:80/",
            "http://[2001:db8::1]",
            "https://deploy-1--site.example.com",
            "https://xn--mnchen-3ya.de/",
            "https://example.com/@ada",
            "https://example.com?next=https://a@b",
        ] {
            let address = WebAddress::parse(&format!(" {text}\n")).unwrap();
            assert_eq!((address.as_str(), &*address.to_string()), (text, text));
            assert_eq!(address.into_string(), text);
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let code = |text: &str| WebAddress::parse(text).unwrap_err().code;
        for text in [
            "",
            "example.com",
            "//example.com",
            "/a",
            "https:example.com",
            "https:/example.com",
            "https:///example.com",
            "https://",
            "https://?a",
            "https://:80",
            "https://.",
            "https://example..com",
            "https://-a.com",
            "https://a-.com",
            "https://example.com*",
            "https:\\\\example.com",
            "https://example.com\\@evil.example",
            "https://ada@example.com",
            "https://ada:secret@example.com",
            "https://@example.com",
            "https://:@example.com",
            "https://exa mple.com",
            "https://exa\nmple.com",
            "https://example.com/\u{202e}gpj.exe",
            "https://m\u{fc}nchen.de",
            "https://xn--a/",
            "https://1.2.3.4.5/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://010.0.0.1/",
            "https://[::1",
            "https://[::1]]",
            "https://[::1]a",
            "https://[fe80::1%25eth0]",
            "https://example.com:",
            "https://example.com:+80",
            "https://example.com:00080",
            "https://example.com:65536",
            "https://example.com/\"><script>",
            "https://example.com/%",
            "https://example.com/%2",
            "https://example.com/%2g",
            "https://example.com/#a#b",
            "ftp://example.com",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,a",
            "mailto:ada@example.com",
        ] {
            assert_eq!(code(text), "url", "{text:?}");
        }
        let longest = format!("https://example.com/{}", "a".repeat(2028));
        assert_eq!(longest.len(), WebAddress::MAX_LENGTH);
        assert!(WebAddress::parse(&longest).is_ok());
        assert_eq!(code(&format!("{longest}a")), "too_long");
    }

    #[test]
    fn a_contact_is_a_rule_of_a_line() {
        #[derive(Validate)]
        struct Body {
            #[garde(custom(is::<WebAddress>))]
            page: Line,
            #[garde(inner(custom(is::<WebAddress>)))]
            blog: Option<Line>,
            #[garde(inner(custom(is::<Email>)))]
            mail: Patch<Line>,
        }
        let line = |text| Line::new(text).unwrap();
        let body = |text| Body { page: line(text), blog: Some(line(text)), mail: Patch::Set(line(text)) };
        let refused = |body| {
            let fields = crate::json::validate::<Body>(&body).unwrap_err().0;
            fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect::<Vec<_>>()
        };
        let told = [("/blog", "url"), ("/mail", "email"), ("/page", "url")]
            .map(|(at, code)| (at.into(), code.into()));
        let mut fields = refused(body("x"));
        fields.sort();
        assert_eq!(fields, told);
        assert_eq!(refused(Body { blog: None, mail: Patch::Keep, ..body("x") }).len(), 1);
        assert_eq!(refused(Body { blog: None, mail: Patch::Clear, ..body("x") }).len(), 1);
    }

    /// Its PATTERN, read by what garde reads patterns with.
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(WebAddress::PATTERN).unwrap());

    /// The pattern with few repetitions, so that what matches it is not too long.
    fn bounded() -> String {
        let repeated =
            [("]+", "]{1,9}"), ("]*", "]{0,9}"), ("})*", "}){0,4}"), (".)*", ".){0,4}"), ("-+", "-{1,3}")];
        let pattern = WebAddress::PATTERN.trim_matches(['^', '$']).to_owned();
        repeated.iter().fold(pattern, |text, (from, to)| text.replace(from, to))
    }

    fn claims_punycode(text: &str) -> bool {
        text.to_ascii_lowercase().contains("xn--")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_the_pattern_matches_is_taken(text in proptest::string::string_regex(&bounded()).unwrap()) {
            prop_assert!(PATTERN.is_match(&text));
            prop_assert!(WebAddress::parse(&text).is_ok() || claims_punycode(&text), "{}", text);
        }

        #[test]
        fn what_the_pattern_does_not_match_is_refused(
            text in proptest::string::string_regex(&bounded()).unwrap(),
            at in any::<proptest::sample::Index>(),
            other in "[ -~]{0,2}",
            cut in 0_usize..3,
        ) {
            let at = at.index(text.len());
            let text = format!("{}{other}{}", &text[..at], &text[(at + cut).min(text.len())..]);
            let refused = WebAddress::parse(&text).is_err();
            prop_assert!(refused != PATTERN.is_match(text.trim()) || claims_punycode(&text), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "(https?://)?.{0,40}") {
            if let Ok(address) = WebAddress::parse(&text) {
                prop_assert_eq!(address.as_str(), text.trim());
            }
        }
    }
}
