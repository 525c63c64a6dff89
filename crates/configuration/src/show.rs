//! Redaction: values as `config` shows them and errors quote them.

use std::borrow::Cow;

use figment::value::Value;
use url::Url;

use crate::form::{entries, is_empty};
use crate::row::Kind;

/// Text in place of a secret.
const REDACTED: &str = "[redacted]";

/// A redacted value.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// As a person would write it.
    pub(crate) plain: String,
    /// In the syntax of TOML.
    pub(crate) toml: String,
    pub(crate) is_empty: bool,
}

impl Shown {
    pub(crate) fn new(kind: Kind, value: &Value) -> Self {
        let plain = plain(kind, value);
        let toml = toml(kind, value).unwrap_or_else(|| toml_string(&plain));
        Self { plain, toml, is_empty: is_empty(value) }
    }
}

fn plain(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Secret, value) if is_empty(value) => String::new(),
        (Kind::Secret, _) => REDACTED.to_owned(),
        (Kind::SecretUrl | Kind::SecretUrls, Value::String(_, text)) => {
            entries(text).map(redacted_url).collect::<Vec<_>>().join(", ")
        }
        (_, Value::Array(_, entries)) => {
            entries.iter().map(|entry| scalar(kind, entry)).collect::<Vec<_>>().join(", ")
        }
        (_, value) => scalar(kind, value),
    }
}

fn toml(kind: Kind, value: &Value) -> Option<String> {
    match kind {
        Kind::Integer | Kind::Bytes => value.to_num_lossy()?.to_u128_lossy().map(|number| number.to_string()),
        Kind::Boolean => value.to_bool_lossy().map(|switch| switch.to_string()),
        Kind::List | Kind::SecretUrls => Some(toml_list(kind, value)),
        Kind::Text | Kind::Secret | Kind::SecretUrl | Kind::Promised(_) => None,
    }
}

fn toml_list(kind: Kind, value: &Value) -> String {
    let entries: Vec<String> = match value {
        Value::Array(_, entries) => entries.iter().map(|entry| scalar(kind, entry)).collect(),
        Value::String(_, text) => entries(text).map(|entry| redacted(kind, entry)).collect(),
        _ => Vec::new(),
    };
    format!("[{}]", entries.iter().map(|entry| toml_string(entry)).collect::<Vec<_>>().join(", "))
}

fn scalar(kind: Kind, value: &Value) -> String {
    match value {
        Value::String(_, text) => redacted(kind, text),
        Value::Char(_, c) => redacted(kind, &c.to_string()),
        Value::Bool(_, switch) => switch.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128_lossy(), number.to_f64()) {
            (Some(whole), ..) => whole.to_string(),
            (None, Some(whole), _) => whole.to_string(),
            (None, None, Some(fraction)) => fraction.to_string(),
            (None, None, None) => "a number".to_owned(),
        },
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::Empty(..) => String::new(),
    }
}

fn redacted(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Secret => REDACTED.to_owned(),
        Kind::SecretUrl | Kind::SecretUrls | Kind::Promised(_) => redacted_url(text),
        Kind::Text | Kind::List | Kind::Integer | Kind::Bytes | Kind::Boolean => text.to_owned(),
    }
}

/// `url` without its password, for banners, logs and messages.
#[must_use]
pub fn redacted_url(url: &str) -> String {
    if url.is_empty() || (url.starts_with("sqlite:") && !url.contains('@')) {
        return url.split_once('?').map_or_else(|| url.to_owned(), |(path, _)| format!("{path}?…"));
    }
    let Ok(mut parsed) = Url::parse(url) else { return REDACTED.to_owned() };
    // An unencoded `/`, `?` or `#` in a password ends the host early; then an `@` follows in the rest.
    let misplaced =
        [parsed.path(), parsed.query().unwrap_or_default(), parsed.fragment().unwrap_or_default()];
    if !parsed.has_host() || misplaced.iter().any(|part| part.contains('@')) {
        return REDACTED.to_owned();
    }
    if parsed.password().is_some() {
        // Only URLs without a host refuse one.
        let _ = parsed.set_password(Some("***"));
    }
    if parsed.query().is_some() {
        parsed.set_query(None);
        return format!("{parsed}?…");
    }
    parsed.into()
}

/// A TOML string.
fn toml_string(text: &str) -> String {
    let mut toml = String::from("\"");
    for c in text.chars() {
        let piece: Cow<'_, str> = match c {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            c if c.is_control() => format!("\\u{:04X}", u32::from(c)).into(),
            c => c.to_string().into(),
        };
        toml.push_str(&piece);
    }
    toml.push('"');
    toml
}

#[cfg(test)]
mod tests {
    use super::redacted_url;

    #[test]
    fn no_password_is_left_in_a_url() {
        for (url, shown) in [
            ("postgres://app:canary@db:5432/ashlar", "postgres://app:***@db:5432/ashlar"),
            ("postgres://app@db/ashlar?password=canary&sslmode=require", "postgres://app@db/ashlar?…"),
            ("postgres://app:ca#nary@db/ashlar", "[redacted]"),
            ("postgres://app:12#canary@db/ashlar", "[redacted]"),
            ("postgres://app:12?canary@db/ashlar", "[redacted]"),
            ("postgres://app:12/canary@db/ashlar", "[redacted]"),
            ("canary", "[redacted]"),
            ("app:canary@db/ashlar", "[redacted]"),
            ("sqlite:///data/ashlar.sqlite", "sqlite:///data/ashlar.sqlite"),
            ("", ""),
        ] {
            assert_eq!(redacted_url(url), shown, "{url}");
        }
    }
}
