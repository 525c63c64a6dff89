//! The keys at the top, and the list of all sections.

use std::any::Any;
use std::path::PathBuf;

use configuration::{Environment, Keys, Section, derived, key, parsed, secret, text, variable};
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::crypto::SecretKey;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::cors::Cors;
use crate::database::Database;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::mail::Mail;
use crate::promised::{Kafka, Metrics, Redis};
use crate::sections::{NoSuchSection, ReadSections, SectionReader, Sections};
use crate::server::Server;

/// The whole configuration, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the program, which its variables and files begin with.
    pub program: &'static str,
    /// Purpose of the installation.
    pub environment: Environment,
    /// Name that people see.
    pub project_name: String,
    /// Secret of the installation. Generated once in development, required in production.
    pub secret_key: SecretString,
    /// Absolute path of the folder of everything embedded.
    pub data_dir: PathBuf,
    /// Filter of the log, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// Settings of the HTTP server.
    pub server: Server,
    /// Settings of calls from a browser.
    pub cors: Cors,
    /// Settings of the database.
    pub database: Database,
    /// Settings of mail.
    pub mail: Mail,
    /// Settings of durable jobs.
    pub jobs: Jobs,
    /// Limits of requests.
    pub limits: Limits,
    /// Settings of the domains.
    pub sections: Sections,
    /// `server.public_url` as it was configured: its port may be 0, and then [`server`](Self::server) has the real one.
    pub configured_url: Url,
    /// Sources of values that the log of a start names.
    pub provenance: Provenance,
}

/// Sources of values that the log of a start names.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Source of `database.url`, such as `environment variable DATABASE_URL`.
    pub database_url: String,
    /// Variables without the program's prefix that set a key; other programs may use the same names.
    pub unprefixed: Vec<&'static str>,
}

impl Section for Config {
    const NAME: &'static str = "";
    /// Default of `project_name`, and the functions that read the sections of the domains.
    type Given<'a> = (&'static str, &'a [ReadSections]);

    /// The list of all sections, in the order of the reference.
    fn read(keys: &mut Keys<'_>, (title, given): (&'static str, &[ReadSections])) -> Option<Self> {
        let environment = environment(keys)?;
        keys.set_environment(environment);
        let project_name = project_name(keys, title)?;
        let secret_key = secret_key(keys)?;
        let data_dir = data_dir(keys)?;
        let log_level = log_level(keys)?;
        let server = keys.section::<Server>(())?;
        let cors = keys.section::<Cors>(())?;
        let database = keys.section::<Database>(data_dir.as_path())?;
        let mail = keys.section::<Mail>((project_name.as_str(), &server.public_url))?;
        let jobs = keys.section::<Jobs>(())?;
        let sections = domains(keys, &server.public_url, given)?;
        let limits = keys.section::<Limits>(())?;
        keys.section::<Metrics>(())?;
        keys.section::<Redis>(())?;
        keys.section::<Kafka>(())?;
        Some(Self {
            program: keys.program(),
            configured_url: server.public_url.clone(),
            environment,
            project_name,
            secret_key,
            data_dir,
            log_level,
            server,
            cors,
            database,
            mail,
            jobs,
            limits,
            sections,
            provenance: Provenance::default(),
        })
    }
}

impl Config {
    /// Name of the variable that sets a key, for error messages: `database.url` of the program `shop` is set by `SHOP_DATABASE__URL`.
    #[must_use]
    pub fn variable(&self, key: &str) -> String {
        variable(self.program, key)
    }

    /// The settings of a domain.
    ///
    /// # Errors
    ///
    /// No module reads them, which is a bug.
    pub fn section<S: Any>(&self) -> Result<&S, NoSuchSection> {
        self.sections.get()
    }

    /// Replaces a port 0 in `server.public_url` by the `port` that the API was bound to. Settings of domains that depend on that URL
    /// are updated when their module starts: see [`configured_url`](Self::configured_url).
    #[must_use]
    pub fn bound_to(mut self, port: u16) -> Self {
        if self.server.public_url.port() == Some(0) {
            // Only URLs without a host refuse a port.
            let _ = self.server.public_url.set_port(Some(port));
        }
        self
    }
}

/// The sections of the domains, in the order of their list.
fn domains(keys: &mut Keys<'_>, public_url: &Url, all: &[ReadSections]) -> Option<Sections> {
    let mut sections = Sections::default();
    for read in all {
        read(&mut SectionReader { keys, public_url, sections: &mut sections })?;
    }
    Some(sections)
}

fn environment(keys: &mut Keys<'_>) -> Option<Environment> {
    keys.read(
        key(
            "environment",
            parsed("`development`, `staging` or `production`", Environment::named),
            Environment::Development,
            "Purpose of the installation. `production` refuses every default that is unsafe there; `staging` is the same, but \
             pages of developers' machines may call it where `cors.origins` names them.",
        )
        .alias("ENVIRONMENT"),
    )
}

fn project_name(keys: &mut Keys<'_>, title: &'static str) -> Option<String> {
    let name = |text: &str| (1..=100).contains(&text.chars().count()).then(|| text.to_owned());
    keys.read(
        key(
            "project_name",
            parsed("a name of 1 to 100 characters", name),
            title,
            "Name that people see: in the API's title, in mail.",
        )
        .alias("PROJECT_NAME"),
    )
}

fn secret_key(keys: &mut Keys<'_>) -> Option<SecretString> {
    const LENGTH: usize = SecretKey::MIN_LENGTH;
    let expected =
        format!("at least {LENGTH} characters that nobody can guess (`openssl rand -base64 32` makes such)");
    let secret = keys.read(
        key(
            "secret_key",
            secret(expected),
            derived("", "required in staging and production; in development made once and kept in `<data_dir>/secret_key`"),
            "Secret of the installation. Encrypts what must be read back and derives the keys that sign cursors and refresh tokens. \
             The same for all instances; with another one the server does not start on the same database.",
        )
        .alias("SECRET_KEY"),
    )?;
    let environment = keys.environment();
    if !secret.expose_secret().is_empty() {
        keys.must_be_strong("secret_key", &secret, LENGTH);
    } else if environment != Environment::Development {
        // In development one is generated when it is needed.
        keys.missing_random("secret_key", &format!("the environment is {environment}"));
    }
    Some(secret)
}

/// The path is made absolute, so that it does not depend on later changes of the working directory.
fn data_dir(keys: &mut Keys<'_>) -> Option<PathBuf> {
    let named = keys.read(key(
        "data_dir",
        text("the path of a folder"),
        "./data",
        "Folder of everything embedded: SQLite, files, mail, the generated secret. Relative to the working directory.",
    ))?;
    let folder = std::path::absolute(keys.working_dir().join(named));
    match folder.as_ref().map(|folder| folder.to_str()) {
        Ok(Some(text)) => keys.show("data_dir", text),
        Ok(None) => keys.refuse("data_dir", "`data_dir` is below a folder whose name is not UTF-8"),
        Err(error) => {
            keys.refuse("data_dir", format!("`data_dir` is not a path that can be used: {error}"));
        }
    }
    folder.ok()
}

fn log_level(keys: &mut Keys<'_>) -> Option<String> {
    keys.read(
        key(
            "log_level",
            parsed(
                "a level (error, warn, info, debug, trace or off) and levels of single targets, such as info,auth=debug",
                |text| is_log_filter(text).then(|| text.to_owned()),
            ),
            "info",
            "Levels of the log. `info,sql=debug` shows every statement of the database, without its values.",
        )
        .alias("LOG_LEVEL"),
    )
}

/// `EnvFilter` accepts any word as the name of a target: `verbose` would log nothing at all.
fn is_log_filter(text: &str) -> bool {
    let is_directive = |part: &str| {
        part.contains(['=', '['])
            || ["error", "warn", "info", "debug", "trace", "off"].contains(&part.to_lowercase().as_str())
    };
    text.split(',').all(|part| is_directive(part.trim())) && EnvFilter::try_new(text).is_ok()
}
