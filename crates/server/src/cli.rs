//! The command line: what can be asked for, and how a failure is told.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use shared_kernel::id::UserId;

use crate::config::{ConfigError, reference};

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
    /// Manage administrators
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Look after uploads
    #[command(subcommand)]
    Uploads(UploadsCommand),
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

/// What can be done about uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum UploadsCommand {
    /// Print where the object store is and the secret key that opens it, as JSON, for an S3 client
    Credentials,
}

/// What can be done to administrators.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Create an administrator, or make one of an existing account
    Create(CreateAdminArgs),
}

/// The arguments of `admin create`.
#[derive(Debug, Args)]
pub struct CreateAdminArgs {
    /// The account's address: an account that is there is shown, and a terminal is asked whether it is the one
    #[arg(long, required_unless_present = "user_id")]
    pub email: Option<String>,
    /// The id of an account that is there, which says beyond doubt which one is meant
    #[arg(long, value_name = "ID", conflicts_with_all = ["email", "name"])]
    pub user_id: Option<UserId>,
    /// The name of a new account; an existing one keeps its own
    #[arg(long)]
    pub name: Option<String>,
    /// Read the password from the first line of stdin: a new account needs one, an existing one gets it and its sessions end
    #[arg(long)]
    pub password_stdin: bool,
}

/// An administrator to be created.
#[derive(Clone, Debug)]
pub struct CreateAdmin {
    /// Which account.
    pub account: Named,
    /// The name of a new account.
    pub name: Option<String>,
    /// The password of a new account, which has to have one, or a new password of an existing one.
    pub password: Option<SecretString>,
}

/// How an operator names an account.
#[derive(Clone, Debug)]
pub enum Named {
    /// By an address, which anybody may have signed up with.
    Email(String),
    /// By its id.
    Id(UserId),
}

impl CreateAdminArgs {
    /// The same with the password that was read.
    ///
    /// # Errors
    ///
    /// Stdin cannot be read, is not UTF-8, or has no password.
    pub fn read(self) -> Result<CreateAdmin, CommandError> {
        let password = if self.password_stdin { Some(first_line(io::stdin().lock())?) } else { None };
        let account = self.user_id.map_or_else(|| Named::Email(self.email.unwrap_or_default()), Named::Id);
        Ok(CreateAdmin { account, name: self.name, password })
    }
}

/// Longer than any password that is accepted, and an end to what a wrong pipe sends.
const LONGEST_LINE: u64 = 4_096;

fn first_line(input: impl io::Read) -> Result<SecretString, CommandError> {
    let mut text = String::new();
    input.take(LONGEST_LINE).read_to_string(&mut text).map_err(|error| no_password(&error))?;
    match text.lines().next() {
        None | Some("") => Err(no_password(&"it is empty")),
        Some(line) => Ok(SecretString::from(line)),
    }
}

fn no_password(reason: &dyn fmt::Display) -> CommandError {
    CommandError::message(format!("no password can be read from stdin: {reason}"))
}

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
    use clap::CommandFactory as _;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
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
            assert_eq!(Cli::try_parse_from(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&b" pass word \r\nmore"[..]).unwrap().expose_secret(), " pass word ");
        for none in [&b""[..], b"\nlater", b"\xff\xfe"] {
            assert!(
                first_line(none).unwrap_err().to_string().starts_with("no password can be read from stdin: ")
            );
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
