//! Sources of values, and their precedence.
//!
//! Every source becomes figment layers of its own, one per variable, so that figment knows the source of each value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::fault::{ConfigError, Fault, Faults, quoted};
use crate::row::{Part, Row};
use crate::table::{Table, nearest, prefix};

/// All sources of a configuration.
#[derive(Clone)]
pub struct Sources {
    /// File of `--config`, which must exist; if there is none, `<program>.toml` in the working directory is read if it exists.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Folder of `.env` and of that file, and the start of relative paths.
    pub working_dir: PathBuf,
}

impl Sources {
    /// The sources of this process.
    ///
    /// # Errors
    ///
    /// A variable that sets a key of the table is not UTF-8.
    pub fn of_process(file: Option<PathBuf>, table: &Table) -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| table.utf8(name, value))
            .collect::<Result<_, _>>()?;
        Ok(Self { file, environment, working_dir: PathBuf::from(".") })
    }

    /// All layers of all sources, lowest first. Invalid ones are left out and added to the faults.
    pub(crate) fn layers(&self, table: &Table, faults: &mut Faults) -> Figment {
        let mut figment = Figment::new();
        if let Some(file) = faults.note(self.file_layer(table.program)).flatten() {
            figment = figment.merge(table.known(file, faults));
        }
        let dotenv = faults.note(self.dotenv()).unwrap_or_default();
        let figment = table.variables(figment, &dotenv, faults, |name| format!("{name} in .env"));
        table.variables(figment, &self.environment, faults, |name| format!("environment variable {name}"))
    }

    fn file_layer(&self, program: &str) -> Result<Option<Layer>, Fault> {
        let usual = PathBuf::from(format!("{program}.toml"));
        let path = self.file.as_ref().unwrap_or(&usual);
        let origin = path.display().to_string();
        let text = match fs::read_to_string(self.working_dir.join(path)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.file.is_none() => return Ok(None),
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

/// Removes line ends that a shell or an editor left after a value.
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
fn value_of(key: &str, value: impl Into<Value>, origin: impl Into<String>) -> impl Provider {
    let values = figment::util::nest(key, value.into()).into_dict().unwrap_or_default();
    Layer { origin: origin.into(), values }
}

fn parse_toml(text: &str, origin: &str) -> Result<Dict, Fault> {
    Toml::from_str(text).map_err(|error| {
        // The text of the error shows the line, which may contain a secret.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        let reason = error.message().lines().next().unwrap_or_default().to_owned();
        Fault::new(format!("{} is not TOML at line {line}: {reason}", quoted(origin)))
    })
}

fn dotenv_error(text: &str, error: &dotenvy::Error) -> Fault {
    // As above: the line is named by its number only.
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

impl Table {
    /// A variable as text. One that is not UTF-8 is an error if it sets a key, and ignored otherwise.
    fn utf8(&self, name: OsString, value: OsString) -> Option<Result<(String, String), ConfigError>> {
        let name = name.into_string().ok()?;
        match value.into_string() {
            Ok(value) => Some(Ok((name, value))),
            Err(_) if self.is_ours(&name) || self.rows.iter().any(|row| row.alias_name() == Some(&name)) => {
                let sentence = format!("environment variable {name} is not UTF-8: set it again or remove it");
                Some(Err(Fault::new(sentence).into()))
            }
            Err(_) => None,
        }
    }

    /// The known keys of a file; unknown ones are added to the faults.
    fn known(&self, mut file: Layer, faults: &mut Faults) -> Layer {
        let origin = &file.origin;
        for (section, value) in &mut file.values {
            if let Value::Dict(_, values) = value
                && self.has_section(section)
            {
                values.retain(|name, _| {
                    faults.note(self.known_key(&format!("{section}.{name}"), origin)).is_some()
                });
            }
        }
        file.values.retain(|name, value| {
            (self.has_section(name) && value.as_dict().is_some())
                || faults.note(self.top_key(name, origin)).is_some()
        });
        file
    }

    /// A quoted name keeps its dots and is not a section.
    fn top_key(&self, name: &str, origin: &str) -> Result<(), Fault> {
        if name.contains('.') {
            let what = format!("unknown key {} in {origin}", quoted(&format!("\"{name}\"")));
            return Err(self.unknown(&what, Some(name.to_owned())));
        }
        self.known_key(name, origin)
    }

    fn known_key(&self, name: &str, origin: &str) -> Result<(), Fault> {
        if self.has(name) {
            return Ok(());
        }
        if self.has_section(name) {
            return Err(Fault::new(format!(
                "`{name}` in {origin} is a section: write [{name}] and its keys below"
            )));
        }
        let names = self.rows.iter().map(|row| row.name.clone());
        let sections = self.rows.iter().map(|row| row.section().to_owned());
        let candidates = names.chain(sections.filter(|section| !section.is_empty()));
        Err(self.unknown(&format!("unknown key {} in {origin}", quoted(name)), nearest(name, candidates)))
    }

    fn unknown(&self, what: &str, nearest: Option<String>) -> Fault {
        let advice = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("remove it, or find its name in `{} config --help`", self.program),
        };
        Fault::new(format!("{what}: {advice}"))
    }

    /// Adds the values of variables. Of two names of a key, the one with the prefix wins.
    fn variables(
        &self,
        mut figment: Figment,
        variables: &[(String, String)],
        faults: &mut Faults,
        origin: impl Fn(&str) -> String,
    ) -> Figment {
        let variables: BTreeMap<&str, &str> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for (name, value) in &variables {
            faults.note(self.known_variable(name, value, &origin(name)));
        }
        for row in &self.rows {
            let alias = row.alias.and_then(|alias| Some((alias, *variables.get(alias.name)?)));
            let set = match (variables.get(row.variable.as_str()), alias) {
                (Some(value), _) => Some(((*value).to_owned(), origin(&row.variable))),
                (None, Some((alias, value))) => {
                    let origin = origin(alias.name);
                    let whole = match alias.part {
                        Some(part) => faults.note(with_part(&figment, row, part, value, &origin)),
                        None => Some(value.to_owned()),
                    };
                    whole.map(|value| (value, origin))
                }
                (None, None) => None,
            };
            if let Some((value, origin)) = set {
                figment = figment.merge(value_of(&row.name, value, origin));
            }
        }
        figment
    }

    fn is_ours(&self, name: &str) -> bool {
        let prefix = prefix(self.program);
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&prefix))
    }

    fn known_variable(&self, name: &str, value: &str, origin: &str) -> Result<(), Fault> {
        let variables = || self.rows.iter().map(|row| row.variable.clone());
        if !self.is_ours(name) || is_service_link(name, value) || variables().any(|known| known == name) {
            return Ok(());
        }
        let nearest = nearest(&name.to_ascii_uppercase(), variables());
        Err(self.unknown(&format!("{origin} sets no key that is known"), nearest))
    }
}

/// Kubernetes describes a service that has the program's name to every container, in variables with the same prefix.
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

/// The present value of a key, with another part.
fn with_part(figment: &Figment, row: &Row, part: Part, value: &str, origin: &str) -> Result<String, Fault> {
    let so_far = figment.extract_inner(&row.name).unwrap_or_else(|_| row.default.clone());
    (part.put)(&so_far, value.trim()).ok_or_else(|| {
        let (name, needs, said) = (&row.name, part.needs, quoted(value));
        Fault::of(name, format!("`{name}` needs {needs}, but {origin} says {said}"))
    })
}
