//! Where values come from, and which wins.
//!
//! Every source becomes figment layers of its own, one per variable, so that figment can say of each value where it stood.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{ConfigError, Fault, Faults, quoted};
use super::keys::{self, Fallback, KEYS, Key, PREFIX};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "ashlar.toml";
/// What a value's source is called when nobody set it.
pub(super) const DEFAULT: &str = "default";

/// Everything that configuration is read from.
#[derive(Clone)]
pub struct Sources {
    /// The file of `--config`, which then must be there; else `ashlar.toml` in the working directory, if it is there.
    pub file: Option<PathBuf>,
    /// The environment, by name.
    pub environment: Vec<(String, String)>,
    /// Where `.env` and `ashlar.toml` are looked for, and what relative paths start from.
    pub working_dir: PathBuf,
}

impl Sources {
    /// Those of this process.
    ///
    /// # Errors
    ///
    /// A variable that sets a key is not UTF-8.
    pub fn of_process(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
        let environment =
            std::env::vars_os().filter_map(|(name, value)| utf8(name, value)).collect::<Result<_, _>>()?;
        Ok(Self { file, environment, working_dir: PathBuf::from(".") })
    }

    /// All layers of all sources, lowest first. What cannot be used is noted and left out.
    pub(super) fn layers(&self, faults: &mut Faults) -> Figment {
        let mut figment = defaults();
        if let Some(file) = faults.note(self.file_layer()).flatten() {
            figment = figment.merge(file.without_unknown_keys(faults));
        }
        let dotenv = faults.note(self.dotenv()).unwrap_or_default();
        let figment = variables(figment, &dotenv, faults, |name| format!("{name} in .env"));
        variables(figment, &self.environment, faults, |name| format!("environment variable {name}"))
    }

    fn file_layer(&self) -> Result<Option<Layer>, Fault> {
        let named = self.file.as_deref();
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let origin = path.display().to_string();
        let text = match fs::read_to_string(self.working_dir.join(path)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(None),
            Err(error) => return Err(Fault::new(format!("{} cannot be read: {error}", quoted(&origin)))),
        };
        let values = parse_toml(&text, &origin)?;
        Ok(Some(Layer { origin, values }))
    }

    fn dotenv(&self) -> Result<Vec<(String, String)>, Fault> {
        let text = match fs::read_to_string(self.working_dir.join(".env")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Fault::new(format!("`.env` cannot be read: {error}"))),
        };
        let text = text.trim_start_matches('\u{feff}');
        dotenvy::from_read_iter(text.as_bytes())
            .map(|line| line.map_err(|error| dotenv_error(text, &error)))
            .collect()
    }
}

/// Variables hold secrets, so only their number is shown.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &self.environment.len())
            .field("working_dir", &self.working_dir)
            .finish()
    }
}

/// A variable as text. One that is not UTF-8 is an error where it is ours, and nobody's business where it is not.
fn utf8(name: OsString, value: OsString) -> Option<Result<(String, String), ConfigError>> {
    let name = name.into_string().ok()?;
    match value.into_string() {
        Ok(value) => Some(Ok((name, value))),
        Err(_) if is_ours(&name) || KEYS.iter().any(|key| key.plain == Some(&name)) => {
            let sentence = format!("environment variable {name} is not UTF-8: set it again or remove it");
            Some(Err(Fault::new(sentence).into()))
        }
        Err(_) => None,
    }
}

/// Values with one origin.
struct Layer {
    origin: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values = self.values.iter().map(|(name, value)| (name.clone(), trimmed(value.clone())));
        Ok(Map::from([(Profile::Default, values.collect())]))
    }
}

/// A line end that a shell or an editor left behind a value belongs to no path, URL or name.
fn trimmed(value: Value) -> Value {
    match value {
        Value::String(tag, text) => Value::String(tag, text.trim().to_owned()),
        Value::Array(tag, entries) => Value::Array(tag, entries.into_iter().map(trimmed).collect()),
        Value::Dict(tag, entries) => {
            Value::Dict(tag, entries.into_iter().map(|(name, entry)| (name, trimmed(entry))).collect())
        }
        other => other,
    }
}

/// One value of one key. Text stays text, even if it is made of digits.
pub(super) fn value_of(key: &str, value: impl Into<Value>, origin: impl Into<String>) -> impl Provider {
    let values = figment::util::nest(key, value.into()).into_dict().unwrap_or_default();
    Layer { origin: origin.into(), values }
}

/// What every key is when nobody sets it, as far as that follows from nothing else.
pub(super) fn defaults() -> Figment {
    KEYS.iter().fold(Figment::new(), |figment, key| match key.fallback {
        Fallback::Value(value) => figment.join(value_of(key.name, value, DEFAULT)),
        Fallback::Empty(_) => figment.join(value_of(key.name, "", DEFAULT)),
        Fallback::Derived(_) if key.name == "secret_key" => figment.join(value_of(key.name, "", DEFAULT)),
        Fallback::Derived(_) => figment,
    })
}

fn parse_toml(text: &str, origin: &str) -> Result<Dict, Fault> {
    Toml::from_str(text).map_err(|error| {
        // The error's own text shows the line, which may hold a secret.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        let reason = error.message().lines().next().unwrap_or_default().to_owned();
        Fault::new(format!("{} is not TOML at line {line}: {reason}", quoted(origin)))
    })
}

fn dotenv_error(text: &str, error: &dotenvy::Error) -> Fault {
    // As above: the line that could not be read is told by its number.
    let line = match error {
        dotenvy::Error::LineParse(broken, _) => {
            let broken = broken.lines().next().unwrap_or_default();
            text.lines().position(|line| line.contains(broken)).map(|index| format!(" at line {}", index + 1))
        }
        _ => None,
    };
    Fault::new(format!(
        "`.env` cannot be read{}: write NAME=value, in single quotes if the value has spaces, quotes or `$`",
        line.unwrap_or_default()
    ))
}

impl Layer {
    /// The keys that are known; the others are noted.
    fn without_unknown_keys(mut self, faults: &mut Faults) -> Self {
        let origin = &self.origin;
        for (section, value) in &mut self.values {
            if let Value::Dict(_, values) = value
                && is_section(section)
            {
                values
                    .retain(|name, _| faults.note(known_key(&format!("{section}.{name}"), origin)).is_some());
            }
        }
        self.values.retain(|name, value| {
            (is_section(name) && value.as_dict().is_some()) || faults.note(top_key(name, origin)).is_some()
        });
        self
    }
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section() == name)
}

/// A name in quotes keeps its dots and is no section.
fn top_key(name: &str, origin: &str) -> Result<(), Fault> {
    if name.contains('.') {
        let what = format!("unknown key {} in {origin}", quoted(&format!("\"{name}\"")));
        return Err(unknown(&what, Some(name.to_owned())));
    }
    known_key(name, origin)
}

fn known_key(name: &str, origin: &str) -> Result<(), Fault> {
    if KEYS.iter().any(|key| key.name == name) {
        return Ok(());
    }
    if is_section(name) {
        return Err(Fault::new(format!(
            "`{name}` in {origin} is a section: write [{name}] and its keys below"
        )));
    }
    let sections = KEYS.iter().map(|key| key.section().to_owned());
    let candidates =
        KEYS.iter().map(|key| key.name.to_owned()).chain(sections.filter(|section| !section.is_empty()));
    Err(unknown(&format!("unknown key {} in {origin}", quoted(name)), keys::nearest(name, candidates)))
}

fn unknown(what: &str, nearest: Option<String>) -> Fault {
    let advice = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "remove it, or find its name in `ashlar config --help`".to_owned(),
    };
    Fault::new(format!("{what}: {advice}"))
}

/// Adds what the variables set. Of the two names of a key the one with our prefix wins.
fn variables(
    mut figment: Figment,
    variables: &[(String, String)],
    faults: &mut Faults,
    origin: impl Fn(&str) -> String,
) -> Figment {
    let variables: BTreeMap<&str, &str> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for (name, value) in &variables {
        faults.note(known_variable(name, value, &origin(name)));
    }
    for key in KEYS {
        if let Some(value) = variables.get(key.variable().as_str()) {
            figment = figment.merge(value_of(key.name, *value, origin(&key.variable())));
        } else if let Some((plain, value)) = key.plain.and_then(|plain| Some((plain, variables.get(plain)?)))
        {
            let value = match plain {
                "PORT" => faults.note(with_port(&figment, value, &origin(plain))),
                _ => Some((*value).to_owned()),
            };
            if let Some(value) = value {
                figment = figment.merge(value_of(key.name, value, origin(plain)));
            }
        }
    }
    figment
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn known_variable(name: &str, value: &str, origin: &str) -> Result<(), Fault> {
    let variable = |key: &Key| key.variable();
    if !is_ours(name) || is_service_link(name, value) || KEYS.iter().any(|key| key.variable() == name) {
        return Ok(());
    }
    let nearest = keys::nearest(&name.to_ascii_uppercase(), KEYS.iter().map(variable));
    Err(unknown(&format!("{origin} sets no key that is known"), nearest))
}

/// Kubernetes tells every container about a service that is named `ashlar…`, in variables that begin like ours.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    let of_a_port =
        ["_TCP", "_UDP", "_TCP_PROTO", "_UDP_PROTO", "_TCP_PORT", "_UDP_PORT", "_TCP_ADDR", "_UDP_ADDR"];
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
        || (name.contains("_PORT_") && of_a_port.iter().any(|end| name.ends_with(end)))
}

/// The address that `server.bind` has so far, with another port.
fn with_port(figment: &Figment, port: &str, origin: &str) -> Result<String, Fault> {
    let wrong = || {
        let said = quoted(port);
        let sentence = format!("`server.bind` needs a port from 0 to 65535, but {origin} says {said}");
        Fault::of("server.bind", sentence)
    };
    let port: u16 = port.trim().parse().map_err(|_| wrong())?;
    let bind: String = figment.extract_inner("server.bind").unwrap_or_default();
    // An address that cannot be read stays: the check of all values names it and its source.
    Ok(bind.parse::<SocketAddr>().map_or(bind, |address| SocketAddr::new(address.ip(), port).to_string()))
}
