//! How values become types. Variables are text, `ashlar.toml` has types of its own: a list is accepted as both.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use url::Url;

use super::origin::AllowedOrigin;

/// A number of seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(Duration::from_secs)
}

/// Text that is not empty.
pub(super) fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text = String::deserialize(value)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(D::Error::custom("empty, or with a control character"));
    }
    Ok(text)
}

/// An `http://` or `https://` URL without credentials, query and fragment: others are built by adding a path to it.
pub(super) fn web_url<'de, D: Deserializer<'de>>(value: D) -> Result<Url, D::Error> {
    let url: Url = parsed(&String::deserialize(value)?)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !bare || !matches!(url.scheme(), "http" | "https") {
        return Err(D::Error::custom("not a plain http:// or https:// URL"));
    }
    Ok(url)
}

/// A web URL, or nothing when the text is empty.
pub(super) fn optional_web_url<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Url>, D::Error> {
    optional(value, web_url)
}

/// A secret, or nothing when the text is empty.
pub(super) fn optional_secret<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SecretString>, D::Error> {
    optional(value, SecretString::deserialize)
}

/// Text, or nothing when it is empty.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    optional(value, String::deserialize)
}

fn optional<'de, D, T>(
    value: D,
    parse: impl FnOnce(serde::de::value::StringDeserializer<D::Error>) -> Result<T, D::Error>,
) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    parse(serde::de::IntoDeserializer::into_deserializer(text)).map(Some)
}

/// Origins.
pub(super) fn origins<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<AllowedOrigin>, D::Error> {
    parsed_list(value)
}

/// Names of header fields (RFC 9110, section 5.1); `*` is one by its syntax, and none that anybody has.
pub(super) fn header_names<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<HeaderName>, D::Error> {
    let name = |text: &String| {
        parsed(text).and_then(|name: HeaderName| {
            if name.as_str() == "*" { Err(D::Error::custom("not a name")) } else { Ok(name) }
        })
    };
    list(value)?.iter().map(name).collect()
}

/// Networks; an address alone is a network of one.
pub(super) fn networks<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| text.parse::<IpAddr>().map(IpNet::from).or_else(|_| parsed(text));
    list(value)?.iter().map(network).collect()
}

/// Secrets.
pub(super) fn secrets<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(list(value)?.into_iter().map(SecretString::from).collect())
}

/// Media types without parameters, in lower case.
pub(super) fn media_types<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let types = list(value)?;
    if types.iter().all(|name| is_media_type(name)) {
        Ok(types)
    } else {
        Err(D::Error::custom("not a media type"))
    }
}

/// RFC 6838, 4.2.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

fn parsed_list<'de, D: Deserializer<'de>, T: FromStr>(value: D) -> Result<Vec<T>, D::Error> {
    list(value)?.iter().map(|text| parsed(text)).collect()
}

// The reason stays behind: the sentence says what the key accepts, which is more than a parser knows.
fn parsed<T: FromStr, E: Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|_| E::custom("cannot be read"))
}

/// A list of text, or text with commas.
pub(super) fn list<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    value.deserialize_any(ListVisitor)
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<String>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(list)
    }
}
