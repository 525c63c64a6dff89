//! How values are shown: `ashlar config`, and what a refusal quotes. Nothing here lets a secret out.

use std::borrow::Cow;
use std::fmt::Write as _;

use figment::Figment;
use figment::value::Value;
use sea_orm::DbBackend;
use shared_kernel::session::engine_of;
use url::Url;

use super::keys::{Accepts, KEYS, Key};
use super::settings::Provenance;
use super::sources::DEFAULT;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Where the value of a key came from.
pub(super) fn origin(figment: &Figment, name: &str) -> String {
    figment
        .find_metadata(name)
        .map_or_else(|| DEFAULT.to_owned(), |metadata| metadata.name.clone().into_owned())
}

/// Whether a key has no value.
pub(super) fn is_empty(figment: &Figment, name: &str) -> bool {
    match figment.find_value(name) {
        Ok(Value::String(_, text)) => text.is_empty(),
        Ok(Value::Array(_, entries)) => entries.is_empty(),
        Ok(_) => false,
        Err(_) => true,
    }
}

/// Whether a value, or an entry of it, has a line break or another control character in it.
pub(super) fn has_control(figment: &Figment, name: &str) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(_, text) => text.chars().any(char::is_control),
            Value::Array(_, entries) => entries.iter().any(in_value),
            _ => false,
        }
    }
    figment.find_value(name).is_ok_and(|value| in_value(&value))
}

/// Where the values came from that a start tells about.
pub(super) fn provenance(figment: &Figment) -> Provenance {
    let from_plain = |key: &&Key| {
        let origin = origin(figment, key.name);
        key.plain.filter(|plain| origin.split(' ').any(|word| word == *plain))
    };
    Provenance {
        database_url: origin(figment, "database.url"),
        unprefixed: KEYS.iter().filter_map(|key| from_plain(&key)).collect(),
    }
}

/// A value as a person would write it, redacted.
pub(super) fn plain(figment: &Figment, key: &Key) -> String {
    let value = figment.find_value(key.name).unwrap_or_else(|_| Value::from(""));
    match (key.accepts, &value) {
        (Accepts::Secret(_), _) if is_empty(figment, key.name) => String::new(),
        (Accepts::Secret(_), _) => REDACTED.to_owned(),
        (_, Value::Array(_, entries)) => {
            entries.iter().map(|entry| scalar(key, entry)).collect::<Vec<_>>().join(", ")
        }
        (_, value) => scalar(key, value),
    }
}

/// All values with their sources, in the syntax of `ashlar.toml`.
pub(super) fn effective(figment: &Figment) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            text.push('\n');
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} = {}  # {}", key.name, toml(figment, key), origin(figment, key.name));
    }
    text
}

fn toml(figment: &Figment, key: &Key) -> String {
    match key.accepts {
        Accepts::Whole(..) => figment.extract_inner_lossy::<u64>(key.name).map(|number| number.to_string()),
        Accepts::Switch => figment.extract_inner_lossy::<bool>(key.name).map(|switch| switch.to_string()),
        Accepts::List(_) => Ok(list(figment, key)),
        Accepts::SecretUrl(_) if key.name.ends_with('s') => Ok(list(figment, key)),
        _ => Ok(quoted(&plain(figment, key))),
    }
    .unwrap_or_else(|_| quoted(&plain(figment, key)))
}

fn list(figment: &Figment, key: &Key) -> String {
    let entries = match figment.find_value(key.name) {
        Ok(Value::Array(_, entries)) => entries.iter().map(|entry| scalar(key, entry)).collect(),
        Ok(Value::String(_, text)) => commas(&text).map(|entry| redacted(key, entry)).collect(),
        _ => Vec::new(),
    };
    format!("[{}]", entries.iter().map(|entry| quoted(entry)).collect::<Vec<_>>().join(", "))
}

fn commas(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn scalar(key: &Key, value: &Value) -> String {
    match value {
        Value::String(_, text) if text.contains(',') && key.is_secret() => {
            commas(text).map(|entry| redacted(key, entry)).collect::<Vec<_>>().join(", ")
        }
        Value::String(_, text) => redacted(key, text),
        Value::Char(_, c) => redacted(key, &c.to_string()),
        Value::Bool(_, switch) => switch.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(fraction)) => fraction.to_string(),
            (None, None) => {
                number.to_u128().map_or_else(|| "a number".to_owned(), |number| number.to_string())
            }
        },
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::Empty(..) => String::new(),
    }
}

fn redacted(key: &Key, text: &str) -> String {
    match key.accepts {
        Accepts::Secret(_) => REDACTED.to_owned(),
        // What comes later may be a URL with a password, too.
        Accepts::SecretUrl(_) | Accepts::Later(_) => redacted_url(text),
        _ => text.to_owned(),
    }
}

/// `url` without its password, for banners, logs and messages.
#[must_use]
pub fn redacted_url(url: &str) -> String {
    if url.is_empty() || (engine_of(url) == Some(DbBackend::Sqlite) && !url.contains('@')) {
        return url.split_once('?').map_or_else(|| url.to_owned(), |(path, _)| format!("{path}?…"));
    }
    let Ok(mut parsed) = Url::parse(url) else { return REDACTED.to_owned() };
    // A password with an unencoded `/`, `?` or `#` ends the host early: its rest stands where no `@` should be.
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
fn quoted(text: &str) -> String {
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
