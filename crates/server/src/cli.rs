//! The command line: what can be asked for, and how a failure is told.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Loaded, Sources, reference};
use crate::logging::{self, Output};
use crate::module::Verb;
use crate::routers::MODULES;

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
    #[command(after_long_help = reference::terminal())]
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

/// A command as it was typed.
#[derive(Clone, Debug)]
pub struct Invocation {
    file: Option<PathBuf>,
    arguments: ArgMatches,
}

impl Invocation {
    /// The command in `arguments`, which are those of the [whole command line](command).
    #[must_use]
    pub fn new(arguments: &ArgMatches) -> Self {
        let file = arguments.get_one::<PathBuf>("config").cloned();
        let own = arguments.subcommand().map_or_else(ArgMatches::default, |(_, own)| own.clone());
        Self { file, arguments: own }
    }

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

    /// The configuration, which touches no data yet.
    ///
    /// # Errors
    ///
    /// The sentences that say why nothing can be started with it.
    pub fn load(self) -> Result<Loaded, ConfigError> {
        load(self.file)
    }

    /// What every command needs that touches data: the whole configuration, and a log on stderr.
    ///
    /// # Errors
    ///
    /// The sentences that say why nothing can be started with it.
    pub fn start(self) -> Result<Config, ConfigError> {
        start(self.file, Output::Stderr)
    }
}

/// The configuration of the process, which touches no data yet.
///
/// # Errors
///
/// The sentences that say why nothing can be started with it.
pub fn load(file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
    Config::load(&Sources::of_process(file, &config::table())?)
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

/// Longer than any line that is accepted, and an end to what a wrong pipe sends.
pub(crate) const LONGEST_LINE: u64 = 4_096;

/// Why a command failed. Every error becomes one; its text is the whole chain of causes on one line.
#[derive(Debug)]
pub struct CommandError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl CommandError {
    /// A failure that no error stands behind.
    #[must_use]
    pub fn message(sentence: impl Into<String>) -> Self {
        Self(sentence.into().into())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let reason = error.to_string();
            // Many errors repeat their cause at their own end.
            if !text.ends_with(&reason) {
                text.push_str(": ");
                text.push_str(&reason);
            }
            cause = error.source();
        }
        f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Writes an answer to stdout. A reader that has seen enough (`ashlar config | head`) is no failure.
///
/// # Errors
///
/// Stdout cannot be written to for another reason.
pub fn print(text: &str) -> Result<(), CommandError> {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Asks a person whether to go on; without one there, that is refused.
///
/// # Errors
///
/// The sentence that says how to go on without being asked, or that nothing was done.
pub fn confirm(question: &str, otherwise: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::message(format!("{question}: nobody is there to ask; {otherwise}")));
    }
    write!(io::stderr().lock(), "{question}. Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().take(LONGEST_LINE).read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::message("nothing was done")),
    }
}

/// Tells a failure on stderr, each fault of a configuration on a line of its own. Where even that fails, nobody is left to be
/// told.
pub fn print_error(error: &CommandError) {
    let mut stderr = io::stderr().lock();
    let _ = match error.0.downcast_ref::<ConfigError>() {
        Some(faults) => faults.sentences().try_for_each(|sentence| writeln!(stderr, "error: {sentence}")),
        None => writeln!(stderr, "error: {error}"),
    };
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

    #[test]
    fn a_failure_is_one_line_with_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Repeats(#[source] io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("first\nline")]
        struct Hides(#[source] Repeats);
        let error = CommandError::from(Hides(Repeats(io::Error::other("inner"))));
        assert_eq!(error.to_string(), "first line: outer: inner");
    }
}
