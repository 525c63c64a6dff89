//! The configuration of the server: which sections there are. How values are found, checked, shown and documented is crate
//! [`configuration`].
//!
//! A section is one file: its type, and for each key the name, the bounds, the default and what operators read of it.
//! [`Config`] lists the sections of the server. That of a domain is the domain's own settings, which its
//! [module](crate::module) reads: [`Config::section`] finds it by its type.
//!
//! | module | what it holds |
//! |---|---|
//! | `root` | the keys at the top, and the list of all sections |
//! | `server`, `cors`, `database`, `mail`, `limits` | a section each |
//! | `sections` | the sections of the domains |
//! | `promised` | sections whose features come later |
//! | `origin` | the entries of `cors.origins` |
//! | `secret` | secrets that an installation makes for itself |
//!
//! # Adding a key
//!
//! A field, and the call that reads it, in the file of the section: see [`configuration`].

mod cors;
mod database;
mod limits;
mod mail;
mod origin;
mod promised;
mod root;
mod secret;
mod sections;
mod server;

pub use configuration::{ConfigError, Environment, Sources, redacted_url, without_slash};
use configuration::{Effective, Table};
use secrecy::ExposeSecret as _;

pub use cors::Cors;
pub use database::Database;
pub use limits::Limits;
pub use mail::Mail;
pub use origin::{AllowedOrigin, NotAnOrigin};
pub use root::{Config, Provenance};
pub use sections::{NoSuchSection, ReadSections, SectionReader, Sections};
pub use server::Server;

/// The table of all keys.
#[must_use]
pub fn table(domains: &[ReadSections]) -> Table {
    Table::of::<Config>("ashlar", domains)
}

/// A configuration that was read and checked, and that has touched nothing yet: a secret that has to be made is missing.
#[derive(Clone, Debug)]
pub struct Loaded {
    config: Config,
    effective: Effective,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// The sentences that say why the server cannot start with it.
    pub fn load(sources: &Sources, domains: &[ReadSections]) -> Result<Loaded, ConfigError> {
        let (config, effective) = table(domains).load(sources, domains)?;
        Ok(Loaded { config, effective })
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
        config.provenance = Provenance {
            database_url: self.effective.origin("database.url").to_owned(),
            unprefixed: self.effective.unprefixed(),
        };
        if config.secret_key.expose_secret().is_empty() {
            config.secret_key = secret::read_or_make(&secret::file(&config))?;
        }
        Ok(config)
    }

    /// The configuration as it stands, which is enough for what touches no data: a secret that has to be made is empty.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every key with its value and its source, one a line, in the syntax of `ashlar.toml`. Secrets and the passwords in
    /// URLs are redacted. What [`resolve`](Self::resolve) would find or make is there as a source and not as a secret.
    #[must_use]
    pub fn effective(&self) -> String {
        let mut effective = self.effective.clone();
        if effective.is_empty("secret_key") {
            let file = secret::file(&self.config);
            let (stand_in, origin) = if file.is_file() {
                ("kept", file.display().to_string())
            } else {
                ("", format!("will be made in {}", file.display()))
            };
            effective.replace("secret_key", stand_in, origin);
        }
        effective.to_toml()
    }
}
