//! What a key accepts: in words, and as a parser. Variables are text and files have types of their own: numbers, switches and lists are
//! accepted in both forms.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::Value;
use secrecy::SecretString;
use url::Url;

use crate::row::Kind;

/// What a key accepts, and the parser of its value.
pub struct Form<T> {
    pub(crate) kind: Kind,
    /// What it accepts, in words that follow "must be".
    pub(crate) expected: String,
    pub(crate) parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&Value) -> Option<T>>;

impl<T: 'static> Form<T> {
    fn new(kind: Kind, expected: impl Into<String>, parse: impl Fn(&Value) -> Option<T> + 'static) -> Self {
        Self { kind, expected: expected.into(), parse: Box::new(parse) }
    }

    /// Converts the parsed value to another type.
    #[must_use]
    pub fn map<U: 'static>(self, convert: impl Fn(T) -> U + 'static) -> Form<U> {
        let parse = self.parse;
        Form::new(self.kind, self.expected, move |value| parse(value).map(&convert))
    }
}

/// Text that `parse` can read. `expected` follows "must be" and "Accepts": "a mailbox, such as …".
pub fn parsed<T: 'static>(
    expected: impl Into<String>,
    parse: impl Fn(&str) -> Option<T> + 'static,
) -> Form<T> {
    Form::new(Kind::Text, expected, move |value| parse(value.as_str()?))
}

/// Text that is not empty.
pub fn text(expected: impl Into<String>) -> Form<String> {
    parsed(expected, |text| (!text.is_empty()).then(|| text.to_owned()))
}

/// A whole number of `unit` (a plural) between two bounds.
pub fn whole<T>(bounds: RangeInclusive<T>, unit: &str) -> Form<T>
where
    T: TryFrom<u128> + PartialOrd + Display + 'static,
{
    let expected = format!("a whole number of {unit} from {} to {}", bounds.start(), bounds.end());
    Form::new(Kind::Integer, expected, move |value| {
        let number = T::try_from(value.to_num_lossy()?.to_u128_lossy()?).ok()?;
        bounds.contains(&number).then_some(number)
    })
}

/// A size in bytes between two bounds.
pub fn bytes<T>(bounds: RangeInclusive<T>) -> Form<T>
where
    T: TryFrom<u128> + PartialOrd + Display + 'static,
{
    Form { kind: Kind::Bytes, ..whole(bounds, "bytes") }
}

/// A number of seconds between two bounds.
#[must_use]
pub fn seconds(bounds: RangeInclusive<u64>) -> Form<Duration> {
    whole(bounds, "seconds").map(Duration::from_secs)
}

/// A number of days between two bounds.
#[must_use]
pub fn days(bounds: RangeInclusive<u64>) -> Form<Duration> {
    whole(bounds, "days").map(|days| Duration::from_hours(24 * days))
}

/// A boolean.
#[must_use]
pub fn switch() -> Form<bool> {
    Form::new(Kind::Boolean, "true or false", Value::to_bool_lossy)
}

/// A list, or text with commas, of entries that `parse` can read. `entries` is a plural.
pub fn list<T: 'static>(entries: &str, parse: impl Fn(&str) -> Option<T> + 'static) -> Form<Vec<T>> {
    let expected = format!("a list of {entries}");
    Form::new(Kind::List, expected, move |value| all(value, &parse))
}

/// An address and a port.
#[must_use]
pub fn address(example: SocketAddr) -> Form<SocketAddr> {
    parsed(format!("an address and a port, such as {example}"), |text| text.parse().ok())
}

/// An `http://` or `https://` URL without credentials, query and fragment: others are built by adding a path to it.
#[must_use]
pub fn web_url() -> Form<Url> {
    parsed("an http:// or https:// URL without credentials, query and fragment", |text| {
        let url = Url::parse(text).ok()?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        (is_bare && matches!(url.scheme(), "http" | "https")).then_some(url)
    })
}

/// Secret text. It may be empty: use [`Keys::missing`](crate::Keys::missing) if it is required.
pub fn secret(expected: impl Into<String>) -> Form<SecretString> {
    Form::new(Kind::Secret, expected, |value| Some(value.as_str()?.into()))
}

/// A URL that may contain a password, and for which `is_one` is true.
pub fn secret_url(
    expected: impl Into<String>,
    is_one: impl Fn(&str) -> bool + 'static,
) -> Form<SecretString> {
    Form::new(Kind::SecretUrl, expected, move |value| if_is(value.as_str()?, &is_one))
}

/// A list of such URLs. `entries` is a plural.
pub fn secret_urls(entries: &str, is_one: impl Fn(&str) -> bool + 'static) -> Form<Vec<SecretString>> {
    let expected = format!("a list of {entries}");
    Form::new(Kind::SecretUrls, expected, move |value| all(value, &|entry| if_is(entry, &is_one)))
}

/// `None` if the text is empty, otherwise a value of `form`.
#[must_use]
pub fn optional<T: 'static>(form: Form<T>) -> Form<Option<T>> {
    let parse = form.parse;
    Form::new(form.kind, form.expected, move |value| match value.as_str() {
        Some("") => Some(None),
        _ => parse(value).map(Some),
    })
}

/// A reserved name, whose `feature` comes later. Every value is refused, so that nobody relies on it.
#[must_use]
pub fn promised(feature: &'static str) -> Form<()> {
    Form::new(Kind::Promised(feature), "nothing in this version", |value| is_empty(value).then_some(()))
}

/// Whether a value is empty.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.is_empty(),
        Value::Array(_, entries) => entries.is_empty(),
        _ => false,
    }
}

/// The entries of comma-separated text.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn all<T>(value: &Value, parse: &dyn Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::String(_, text) => entries(text).map(parse).collect(),
        Value::Array(_, entries) => entries.iter().map(|entry| parse(entry.as_str()?)).collect(),
        _ => None,
    }
}

fn if_is(text: &str, is_one: &dyn Fn(&str) -> bool) -> Option<SecretString> {
    is_one(text).then(|| text.into())
}
