//! Sections, and how they read their keys.

use std::path::Path;

use figment::Figment;
use figment::value::Value;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::effective::{DEFAULT, Reading};
use crate::environment::Environment;
use crate::fault::{Fault, Faults, quoted};
use crate::key::Key;
use crate::row::{Kind, Row};
use crate::secret::{Strength, weakness};
use crate::show::Shown;
use crate::table::variable;
use crate::web::is_local;

/// Settings that are read from keys below one name.
pub trait Section: Sized {
    /// Name, as in `[name]` of the file; empty for the keys at the top. Two sections may have the same name.
    const NAME: &'static str;

    /// Values of earlier sections that its defaults and rules depend on.
    type Given<'a>;

    /// Reads all of its keys, whatever their values are: this function makes the table of all keys, too.
    ///
    /// `None` if a key has no valid value, not even its default; [`Keys::read`] has added the fault.
    fn read(keys: &mut Keys<'_>, given: Self::Given<'_>) -> Option<Self>;
}

/// Reads the keys of a section. Every fault is added to a list, and the default takes the place of the wrong value, so that further
/// faults are found, too.
pub struct Keys<'a> {
    pub(crate) program: &'static str,
    pub(crate) values: &'a Figment,
    pub(crate) working_dir: &'a Path,
    pub(crate) environment: Environment,
    pub(crate) section: &'static str,
    pub(crate) readings: Vec<Reading>,
    pub(crate) faults: Faults,
}

impl Keys<'_> {
    /// Reads a section.
    pub fn section<S: Section>(&mut self, given: S::Given<'_>) -> Option<S> {
        let outer = std::mem::replace(&mut self.section, S::NAME);
        let section = S::read(self, given);
        self.section = outer;
        section
    }

    /// Reads one key. `None` if even its default is invalid.
    pub fn read<T>(&mut self, key: Key<T>) -> Option<T> {
        let Key { name, alias, form, default, meaning } = key;
        let name = self.full_name(name);
        let row = Row {
            variable: variable(self.program, &name),
            name,
            alias,
            kind: form.kind,
            expected: form.expected,
            default: default.text,
            default_words: default.words,
            meaning,
        };
        if let Ok(value) = self.values.find_value(&row.name) {
            let reading = self.reading(row.clone(), &value);
            if has_control(&value) {
                self.note(&reading, "have no line break or other control character in it");
            } else if let Some(made) = (form.parse)(&value) {
                self.readings.push(reading);
                return Some(made);
            } else {
                self.note(&reading, &format!("be {}", reading.row.expected));
            }
        }
        let value = Value::from(row.default.as_str());
        let reading = Reading { shown: Shown::new(row.kind, &value), row, origin: DEFAULT.to_owned() };
        let made = (form.parse)(&value);
        if made.is_none() {
            self.note(&reading, &format!("be {}", reading.row.expected));
        }
        self.readings.push(reading);
        made
    }

    /// Adds a fault unless `holds`. `must` follows "must": "have no path".
    pub fn must(&mut self, name: &str, holds: bool, must: &str) {
        if holds {
            return;
        }
        match self.find(name) {
            Some(reading) => self.faults.add(wrong(reading, must)),
            None => self.faults.add(Fault::new(format!("`{}` must {must}", self.full_name(name)))),
        }
    }

    /// The same, but only outside development, for unsafe defaults. " in production" is appended.
    pub fn must_outside_development(&mut self, name: &str, holds: bool, must: &str) {
        let holds = holds || self.environment == Environment::Development;
        self.must(name, holds, &format!("{must} in {}", self.environment));
    }

    /// Adds a fault outside development if a URL is not `https:`, or names the local machine.
    pub fn must_be_public(&mut self, name: &str, url: &Url) {
        let is_public = url.scheme() == "https" && !is_local(url);
        self.must_outside_development(name, is_public, "be an https:// URL of a public host");
    }

    /// Adds a fault if a secret is shorter than `length` in bytes or, outside development, can be guessed.
    pub fn must_be_strong(&mut self, name: &str, secret: &SecretString, length: usize) {
        let strength = match self.environment {
            Environment::Development => Strength::Long,
            Environment::Staging | Environment::Production => Strength::Random,
        };
        let weakness = weakness(secret.expose_secret(), strength, length);
        if let (Some(weakness), Some(reading)) = (weakness, self.find(name)) {
            let Reading { row, origin, .. } = reading;
            let sentence = format!("`{}` from {origin} {weakness}: set {}{RANDOM}", row.name, row.variable);
            self.faults.add(Fault::of(&row.name, sentence));
        }
    }

    /// Adds the fault that a value is missing which is required `because` of something: "`storage.endpoint` is set".
    pub fn missing(&mut self, name: &str, because: &str) {
        self.lacks(name, because, "");
    }

    /// The same for a secret that the operator generates.
    pub fn missing_random(&mut self, name: &str, because: &str) {
        self.lacks(name, because, RANDOM);
    }

    /// Adds any other fault of a value, as a whole sentence that names the key.
    pub fn refuse(&mut self, name: &str, sentence: impl Into<String>) {
        self.faults.add(Fault::of(&self.full_name(name), sentence));
    }

    /// Source of a value that was read, such as `environment variable PORT`.
    #[must_use]
    pub fn origin(&self, name: &str) -> &str {
        self.find(name).map_or(DEFAULT, |reading| &reading.origin)
    }

    /// Whether nobody set this key.
    #[must_use]
    pub fn is_default(&self, name: &str) -> bool {
        self.origin(name) == DEFAULT
    }

    /// Replaces the shown value of a key whose value changed by reading.
    pub fn show(&mut self, name: &str, value: &str) {
        let name = self.full_name(name);
        if let Some(reading) = self.readings.iter_mut().find(|reading| reading.row.name == name) {
            reading.shown = Shown::new(reading.row.kind, &Value::from(value));
        }
    }

    /// Replaces the shown source of a value that depends on something that was not read.
    pub fn show_origin(&mut self, name: &str, origin: &str) {
        let name = self.full_name(name);
        if let Some(reading) = self.readings.iter_mut().find(|reading| reading.row.name == name) {
            origin.clone_into(&mut reading.origin);
        }
    }

    /// The environment of the installation; development until it was read.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// Sets the environment of the installation.
    pub fn set_environment(&mut self, environment: Environment) {
        self.environment = environment;
    }

    /// Name of the program whose configuration is read.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Folder that relative paths start from.
    #[must_use]
    pub fn working_dir(&self) -> &Path {
        self.working_dir
    }

    fn lacks(&mut self, name: &str, because: &str, how: &str) {
        let Some(Reading { row, .. }) = self.find(name) else { return };
        let names = row.variables().join(" or ");
        let sentence = format!("`{}` is missing, but {because}: set {names}{how}", row.name);
        self.faults.add(Fault::of(&row.name, sentence));
    }

    fn full_name(&self, name: &str) -> String {
        if self.section.is_empty() { name.to_owned() } else { format!("{}.{name}", self.section) }
    }

    fn find(&self, name: &str) -> Option<&Reading> {
        let name = self.full_name(name);
        self.readings.iter().find(|reading| reading.row.name == name)
    }

    fn reading(&self, row: Row, value: &Value) -> Reading {
        let metadata = self.values.find_metadata(&row.name);
        let origin = metadata.map_or_else(|| DEFAULT.to_owned(), |found| found.name.clone().into_owned());
        Reading { shown: Shown::new(row.kind, value), row, origin }
    }

    fn note(&mut self, reading: &Reading, must: &str) {
        let sentence = match reading.row.kind {
            Kind::Promised(feature) => Fault::of(
                &reading.row.name,
                format!(
                    "`{}` is set by {}, but this version does not have {feature}: remove it",
                    reading.row.name, reading.origin
                ),
            ),
            _ => wrong(reading, must),
        };
        self.faults.add(sentence);
    }
}

const RANDOM: &str = " to a random value, which `openssl rand -base64 32` makes";

fn wrong(Reading { row, shown, origin }: &Reading, must: &str) -> Fault {
    let Row { name, variable, .. } = row;
    let sentence = if origin == DEFAULT {
        format!("`{name}` must {must}: set {variable} (the default is {})", quoted(&shown.plain))
    } else if row.is_secret() {
        format!("`{name}` must {must}, which the value from {origin} is not")
    } else {
        format!("`{name}` must {must}, but {origin} says {}", quoted(&shown.plain))
    };
    Fault::of(name, sentence)
}

/// Whether a value, or an entry of it, has a line break or another control character in it.
fn has_control(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.chars().any(char::is_control),
        Value::Array(_, entries) => entries.iter().any(has_control),
        _ => false,
    }
}
