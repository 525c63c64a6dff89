//! The binary, from its arguments to its exit code.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches as _};

use crate::cli::{self, Cli, Command};
use crate::commands;
use crate::console::{CommandError, print, print_error};
use crate::document::document;
use crate::job_commands;
use crate::logging::{Output, Writer, start, start_server};
use crate::product::Product;

/// Time that blocking work, which cannot be cancelled, has to end.
const BLOCKING_GRACE: Duration = Duration::from_secs(1);

/// Runs the command that the arguments of this process name. Wrong usage ends the process with the code 2.
#[must_use]
pub fn run(product: &'static Product) -> ExitCode {
    let arguments = cli::command(product).get_matches();
    match block_on(dispatch(product, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(BLOCKING_GRACE);
    outcome
}

/// Reports lines that the log dropped, for ever.
async fn watched(log: Option<&Writer>) -> Infallible {
    match log {
        Some(log) => log.watch().await,
        None => std::future::pending().await,
    }
}

async fn dispatch(product: &'static Product, arguments: &ArgMatches) -> Result<(), CommandError> {
    if let Some(verb) = cli::verb(product, arguments) {
        return (verb.run)(cli::invocation(product, arguments)).await;
    }
    let Cli { config: file, command } = Cli::from_arg_matches(arguments)?;
    let schema = product.config_schema();
    match command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let (config, log) = start_server(schema.load_from_process(file)?)?;
            tokio::select! {
                served = Box::pin(commands::serve(product, config)) => served,
                never = watched(log.as_ref()) => match never {},
            }
        }
        Command::Worker { queues } => {
            let (config, log) = start_server(schema.load_from_process(file)?)?;
            tokio::select! {
                worked = Box::pin(commands::work(product, config, queues)) => worked,
                never = watched(log.as_ref()) => match never {},
            }
        }
        Command::Jobs(command) => {
            let config = start(schema.load_from_process(file)?, Output::Stderr)?;
            job_commands::run(product, &config, command).await
        }
        Command::Migrate(command) => {
            let config = start(schema.load_from_process(file)?, Output::Stderr)?;
            commands::migrate(product, &config, command).await
        }
        Command::Openapi { pretty } => {
            let document = document(product, schema.load_from_process(file)?.config())?;
            let text = if pretty { document.to_pretty_json()? } else { document.to_json()? };
            print(&format!("{text}\n"))
        }
        Command::Config { reference: true } => print(&schema.table().markdown()),
        Command::Config { reference: false } => print(&schema.load_from_process(file)?.effective()),
    }
}
