//! The command line: what can be asked for, and how a failure is told.

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand};
use futures_util::future::FutureExt as _;

use crate::config::{Config, ConfigError, Loaded, Sources};
use crate::databases;
use crate::logging::{self, Output};
use crate::module::{Host, Invocation, Verb};
use crate::routers::{self, MODULES};
use crate::settings;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "ashlar", version, about = "The Ashlar server and its tools")]
pub struct Cli {
    /// Read this file in place of ashlar.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do; serve if nothing is named
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until it is told to stop (the default)
    Serve,
    /// Change the schema of the database
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Print the OpenAPI document
    Openapi {
        /// Indent it for people
        #[arg(long)]
        pretty: bool,
    },
    /// Print the effective configuration with its sources, secrets redacted
    #[command(after_long_help = settings::table().terminal())]
    Config {
        /// Print the reference of all keys as Markdown instead
        #[arg(long)]
        reference: bool,
    },
}

/// Changes of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum MigrateCommand {
    /// Apply all migrations that are missing
    Up {
        /// Also in a database that has tables of another program and none of this one
        #[arg(long)]
        yes: bool,
    },
    /// Take back the last migration, or more; what they held is lost
    Down {
        /// Take back all of them
        #[arg(long, conflicts_with = "steps")]
        all: bool,
        /// Take back so many
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Do it without asking; needed where no terminal is there to ask on
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations: applied, pending, changed since they ran, or unknown to this build
    Status,
    /// Write down that the schema is what this build makes, and change no table
    ///
    /// For a start that is refused because the database ran other migrations than this build has, when you know that its tables are
    /// right: those that the build does not have are struck off the record, and those that have changed are taken as they are.
    Repair,
}

/// The command line with the commands of all modules.
#[must_use]
pub fn command() -> clap::Command {
    verbs().fold(Cli::command(), |cli, verb| cli.subcommand((verb.command)()))
}

fn verbs() -> impl Iterator<Item = &'static Verb> {
    MODULES.iter().flat_map(|module| module.commands)
}

/// The verb of a module that these arguments name.
#[must_use]
pub fn verb(arguments: &ArgMatches) -> Option<&'static Verb> {
    let name = arguments.subcommand_name()?;
    verbs().find(|verb| (verb.command)().get_name() == name)
}

/// The configuration of the process, which touches no data yet.
///
/// # Errors
///
/// The sentences that say why nothing can be started with it.
pub fn load(file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
    settings::load(&Sources::of_process(file, &settings::table())?)
}

/// What every command needs that touches data: the whole configuration, and a log.
///
/// # Errors
///
/// The sentences that say why nothing can be started with it.
pub fn start(file: Option<PathBuf>, output: Output) -> Result<Config, ConfigError> {
    let config = load(file)?.resolve()?;
    logging::init(&config.log_level, output);
    Ok(config)
}

/// What commands of modules are run with.
#[must_use]
pub fn invocation(arguments: &ArgMatches) -> Invocation {
    let connect = |config: &Config| databases::connect(config.clone(), routers::resources()).boxed_local();
    Invocation::new(arguments, Host { load, connect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_config_is_accepted_anywhere() {
        assert!(Cli::try_parse_from(["ashlar"]).unwrap().command.is_none());
        let cli =
            Cli::try_parse_from(["ashlar", "migrate", "down", "--config", "a.toml", "--steps", "2"]).unwrap();
        assert_eq!(cli.config, Some(PathBuf::from("a.toml")));
        let Some(Command::Migrate(migrate)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(migrate, MigrateCommand::Down { all: false, steps: 2, yes: false });
    }

    #[test]
    fn wrong_usage_is_refused() {
        for wrong in [
            &["ashlar", "migrate"][..],
            &["ashlar", "migrate", "down", "--all", "--steps", "1"],
            &["ashlar", "migrate", "down", "--steps", "0"],
            &["ashlar", "admin", "create"],
            &["ashlar", "admin", "create", "--user-id", "ada@example.com"],
            &[
                "ashlar",
                "admin",
                "create",
                "--user-id",
                "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T",
                "--email",
                "ada@example.com",
            ],
            &["ashlar", "nonsense"],
        ] {
            assert_eq!(command().try_get_matches_from(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }
}
