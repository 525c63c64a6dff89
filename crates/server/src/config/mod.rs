//! Configuration: read once, checked once, in one place.
//!
//! Defaults < `ashlar.toml` (or `--config FILE`) < `.env` in the working directory < the environment. An unknown key, an
//! impossible value, and in production an unsafe default stop the start with a [`ConfigError`]: a sentence for each, all at
//! once.
//!
//! | module | what it holds |
//! |---|---|
//! | `settings` | [`Config`] and its sections, as types |
//! | `keys` | the table of all keys: names, bounds, defaults, meaning |
//! | `sources` | files and variables, and which wins |
//! | `derived` | defaults that follow from other values |
//! | `check` | what is refused |
//! | `secret` | which secrets are good enough; those that are made or derived |
//! | `show` | `ashlar config`, redacted |
//! | [`mod@reference`] | the documentation of all keys |
//!
//! A new key is a field in `settings` and a row in `keys`; `docs/configuration.md` then ends with what
//! `ashlar config --reference` prints. A row without a field, or a field without a row, does not load.

mod check;
mod derived;
mod error;
mod keys;
mod origin;
mod parse;
pub mod reference;
mod secret;
mod settings;
mod show;
mod sources;

use figment::Figment;
use secrecy::ExposeSecret as _;

pub use error::ConfigError;
use error::{Fault, Faults};
pub use origin::{AllowedOrigin, NotAnOrigin};
pub use settings::{
    Auth, Config, Cors, Database, Environment, Kafka, Limits, Mail, Metrics, Provenance, Redis, Server,
    Storage, Uploads, without_slash,
};
pub use show::redacted_url;
pub use sources::Sources;

/// A configuration that was read and checked, and that has touched nothing yet: a secret that has to be made is missing.
#[derive(Clone, Debug)]
pub struct Loaded {
    figment: Redacted,
    config: Config,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// The sentences that say why the server cannot start with it.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut faults = Faults::default();
        let complete = |figment: &Figment| derived::complete(figment, &sources.working_dir);
        let defaults = complete(&sources::defaults())?;
        let mut given = sources.layers(&mut faults);
        check::later(&given, &mut faults);
        let complete = repaired(&mut given, &defaults, &mut faults, complete);
        let checked = complete.and_then(|mut figment| {
            let config = repaired(&mut figment, &defaults, &mut faults, check::typed)?;
            check::rules(&figment, &config, &mut faults);
            Some(Loaded { figment: Redacted(figment), config })
        });
        faults.or(checked)
    }
}

/// What `attempt` makes of the values. One that it cannot use is noted and gives way to its default, so that the next fault
/// is found too.
fn repaired<T>(
    figment: &mut Figment,
    defaults: &Figment,
    faults: &mut Faults,
    attempt: impl Fn(&Figment) -> Result<T, Fault>,
) -> Option<T> {
    loop {
        let fault = match attempt(figment) {
            Ok(made) => return Some(made),
            Err(fault) => fault,
        };
        let default = fault.key.and_then(|key| Some((key, defaults.find_value(key).ok()?)));
        // Its default was refused as well: nothing is left to try.
        if !faults.add(fault) {
            return None;
        }
        let (key, value) = default?;
        *figment = figment.clone().merge(sources::value_of(key, value, sources::DEFAULT));
    }
}

impl Loaded {
    /// The complete configuration. In development this is where the secret key is made, if there is none.
    ///
    /// # Errors
    ///
    /// The data folder cannot be written to, or holds a secret that is none.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.provenance = show::provenance(&self.figment.0);
        if config.secret_key.expose_secret().is_empty() {
            config.secret_key = secret::read_or_make(&secret::file(&config))?;
        }
        if config.storage.endpoint.is_none() {
            secret::derive_storage_keys(&mut config)?;
        }
        Ok(config)
    }

    /// The configuration as it stands, which is enough for what touches no data: a secret that has to be made is empty.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every key with its value and its source, one a line, in the syntax of `ashlar.toml`. Secrets and the passwords in
    /// URLs are redacted.
    #[must_use]
    pub fn effective(&self) -> String {
        show::effective(&self.with_secrets_to_come())
    }

    /// What [`resolve`](Self::resolve) would find or make, as a source and not as a secret.
    fn with_secrets_to_come(&self) -> Figment {
        let mut figment = self.figment.0.clone();
        let is_missing = |name| show::is_empty(&self.figment.0, name);
        if is_missing("secret_key") {
            let file = secret::file(&self.config);
            let (stand_in, origin) = if file.is_file() {
                ("kept", file.display().to_string())
            } else {
                ("", format!("will be made in {}", file.display()))
            };
            figment = figment.merge(sources::value_of("secret_key", stand_in, origin));
        }
        for name in ["storage.access_key", "storage.secret_key"] {
            if is_missing(name) {
                figment = figment.merge(sources::value_of(name, "", "derived from secret_key"));
            }
        }
        figment
    }
}

/// Figment's own `Debug` shows every value.
#[derive(Clone)]
struct Redacted(Figment);

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figment(…)")
    }
}
