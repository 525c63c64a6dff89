//! The binary `ashlar`: parse, configure, dispatch.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches as _};
use server::cli::{self, Cli, Command, load, start};
use server::commands;
use server::console::{CommandError, print, print_error};
use server::logging::Output;
use server::settings;

fn main() -> ExitCode {
    // A wrong usage ends here, with 2.
    let arguments = cli::command().get_matches();
    match block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// How long what was cut off has to end: work on a file, which cannot be cut off, may hang for ever.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn block_on(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(LEFT_BEHIND);
    outcome
}

async fn run(arguments: &ArgMatches) -> Result<(), CommandError> {
    if let Some(verb) = cli::verb(arguments) {
        return (verb.run)(cli::invocation(arguments)).await;
    }
    let Cli { config: file, command } = Cli::from_arg_matches(arguments)?;
    match command.unwrap_or(Command::Serve) {
        Command::Serve => Box::pin(commands::serve(start(file, Output::Stdout)?)).await,
        Command::Migrate(command) => commands::migrate(start(file, Output::Stderr)?, command).await,
        Command::Openapi { pretty } => {
            print(&format!("{}\n", commands::openapi(load(file)?.config(), pretty)?))
        }
        Command::Config { reference: true } => print(&settings::table().markdown()),
        Command::Config { reference: false } => print(&load(file)?.effective()),
    }
}
