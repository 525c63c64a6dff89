//! A domain as one value: everything that the application needs to know of it.
//!
//! Each router that is named in a product's list of domains has one, `MODULE`. A domain without state names its tags, its
//! routes, its problems and its tables:
//!
//! ```
//! use app_kit::module::Module;
//! use http_kit::routes::Routes;
//!
//! pub static MODULE: Module = Module {
//!     tags: &[("notes", "Short texts.")],
//!     routes: configure,
//!     ..Module::EMPTY
//! };
//!
//! fn configure(_routes: &mut Routes<'_, '_>) {
//!     // routes.handle(create_note).handle(list_notes);
//! }
//! # assert_eq!(MODULE.tags.len(), 1);
//! ```
//!
//! # Giving a domain more
//!
//! | it has | field | see |
//! |---|---|---|
//! | settings | [`settings`](Module::settings) | [`SectionReader::read`](app_config::SectionReader::read) |
//! | state for its handlers | [`start`](Module::start) | [`Wiring::state`], [`Wiring::state_with`] |
//! | a subscriber to events | [`start`](Module::start) | [`Wiring::subscribe`] |
//! | a kind of job | [`jobs`](Module::jobs) | [`JobKind`] |
//! | a kind of job whose handler needs a state | [`start`](Module::start) | [`Wiring::job`] |
//! | a job at certain times | [`schedules`](Module::schedules) | [`Schedule`] |
//! | periodic work | [`start`](Module::start) | [`Wiring::every`] |
//! | a dependency that it cannot work without | [`dependencies`](Module::dependencies) | [`Wiring::depend`] |
//! | commands | [`commands`](Module::commands) | [`Verb`] |
//! | configuration for clients | [`installation`](Module::installation) | [`Members`] |
//!
//! Modules start in the order of the list; none may count on another's state at its own start, but [`Wiring::state_with`] waits for one.

use std::path::PathBuf;

use app_config::{Config, ConfigSchema, Loaded, ReadSections};
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use configuration::ConfigError;
use futures_util::future::LocalBoxFuture;
use http_kit::routes::Routes;
use shared_kernel::error::Problem;
use shared_kernel::job_handler::{InvalidSchedule, JobKind, Schedule};
use shared_kernel::resource::{Resource, Resources};
use shared_kernel::session::Databases;
use utoipa::openapi::OpenApi;

use crate::console::CommandError;
use crate::databases;
use crate::logging::{self, Output};
use crate::members::Members;
use crate::migrations::{Migrations, apply};
use crate::wiring::Wiring;

/// What a domain gives the application.
pub struct Module {
    /// Tags of the OpenAPI document with their descriptions.
    pub tags: &'static [(&'static str, &'static str)],
    /// Registers the handlers.
    pub routes: fn(&mut Routes<'_, '_>),
    /// Errors that answers can name, for the catalogue.
    pub problems: &'static [&'static Problem],
    /// Tables that rows of other domains may refer to.
    pub resources: &'static [Resource],
    /// Reads the sections of the configuration.
    pub settings: ReadSections,
    /// Members of `GET /api/v1/config`.
    pub installation: fn(&Config) -> Result<Members, CommandError>,
    /// Writes configured bounds into the OpenAPI document.
    pub document: fn(&Config, &mut OpenApi) -> Result<(), CommandError>,
    /// Dependencies of readiness, with their descriptions. [`start`](Self::start) registers the check of each.
    pub dependencies: &'static [(&'static str, &'static str)],
    /// Whether it stores something in the data folder that only one server at a time may use.
    pub claims_data_dir: fn(&Config) -> Result<bool, CommandError>,
    /// Kinds of jobs whose handlers need no state. [`start`](Self::start) registers others.
    pub jobs: fn() -> Vec<JobKind>,
    /// Jobs that are enqueued at certain times.
    pub schedules: fn() -> Result<Vec<Schedule>, InvalidSchedule>,
    /// Creates the state and registers subscribers and periodic work.
    pub start: for<'w, 'a> fn(&'w mut Wiring<'a>) -> LocalBoxFuture<'w, Result<(), CommandError>>,
    /// Commands of the binary.
    pub commands: &'static [Verb],
    /// How users sign in; set by the one module that authenticates them.
    pub sign_in: Option<SignIn>,
}

/// How users sign in, as far as HTTP needs it.
#[derive(Clone, Copy, Debug)]
pub struct SignIn {
    /// Path of the OAuth 2.0 token endpoint.
    pub token_url: &'static str,
    /// Problem for callers who are not signed in.
    pub unauthenticated: &'static Problem,
    /// Name of the cookie that authenticates operations that read cookies.
    pub session_cookie: &'static str,
    /// Path below which answers are never stored by caches.
    pub no_store_below: &'static str,
}

impl Module {
    /// An empty module, for the fields that a domain does not need.
    pub const EMPTY: Self = Self {
        tags: &[],
        routes: |_| {},
        problems: &[],
        resources: &[],
        settings: |_| Some(()),
        installation: |_| Ok(Members::default()),
        document: |_, _| Ok(()),
        dependencies: &[],
        claims_data_dir: |_| Ok(false),
        jobs: Vec::new,
        schedules: || Ok(Vec::new()),
        start: |_| Box::pin(async { Ok(()) }),
        commands: &[],
        sign_in: None,
    };
}

/// A command of the binary.
pub struct Verb {
    /// Its name, by which it is found, with its arguments and help.
    pub command: fn() -> clap::Command,
    /// Runs it.
    pub run: fn(Invocation) -> LocalBoxFuture<'static, Result<(), CommandError>>,
}

/// A command with its arguments.
pub struct Invocation {
    pub(crate) file: Option<PathBuf>,
    /// The arguments behind the command's name.
    pub(crate) arguments: ArgMatches,
    pub(crate) schema: ConfigSchema,
    pub(crate) resources: Resources,
    pub(crate) migrations: Migrations,
}

impl Invocation {
    /// The arguments behind the command's name.
    ///
    /// # Errors
    ///
    /// They are another command's, which is a bug.
    pub fn arguments<A: FromArgMatches>(&self) -> Result<A, CommandError> {
        A::from_arg_matches(&self.arguments).map_err(|error| match error.kind() {
            ErrorKind::MissingSubcommand => {
                CommandError::message("a subcommand is missing: --help lists them")
            }
            _ => error.into(),
        })
    }

    /// The configuration, without side effects.
    ///
    /// # Errors
    ///
    /// The faults of the configuration.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.schema.load_from_process(self.file.clone())
    }

    /// Resolves the configuration and logs to stderr: for commands that touch data.
    ///
    /// # Errors
    ///
    /// The faults of the configuration.
    pub fn start(&self) -> Result<Config, ConfigError> {
        logging::start(self.load()?, Output::Stderr)
    }

    /// Opens the databases of a configuration, and applies the migrations if a start would do so.
    ///
    /// # Errors
    ///
    /// The databases cannot be opened or migrated.
    pub async fn connect(&self, config: &Config) -> Result<Databases, CommandError> {
        let databases = databases::connect(config, self.resources.clone()).await?;
        if config.database.auto_migrate {
            apply::at_start(self.migrations, config, databases.primary()).await?;
        }
        Ok(databases)
    }
}
