//! The binary `ashlar`: parse, configure, dispatch.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use server::cli::{AdminCommand, Cli, Command, CommandError, UploadsCommand, print, print_error};
use server::commands;
use server::config::{self, Config, ConfigError, Loaded, Sources, reference};
use server::logging::{self, Output};

fn main() -> ExitCode {
    // A wrong usage ends here, with 2.
    let cli = Cli::parse();
    match block_on(run(cli)) {
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

async fn run(cli: Cli) -> Result<(), CommandError> {
    let file = cli.config;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => Box::pin(commands::serve(start(file, Output::Stdout)?)).await,
        Command::Migrate(command) => commands::migrate(start(file, Output::Stderr)?, command).await,
        Command::Admin(AdminCommand::Create(arguments)) => {
            let config = start(file, Output::Stderr)?;
            commands::create_admin(config, arguments.read()?).await
        }
        Command::Uploads(UploadsCommand::Credentials) => {
            print(&commands::credentials(&load(file)?.resolve()?))
        }
        Command::Openapi { pretty } => {
            print(&format!("{}\n", commands::openapi(load(file)?.config(), pretty)))
        }
        Command::Config { reference: true } => print(&reference::markdown()),
        Command::Config { reference: false } => print(&load(file)?.effective()),
    }
}

fn load(file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
    Config::load(&Sources::of_process(file, &config::table())?)
}

/// What every command needs that touches data: the whole configuration, and a log.
fn start(file: Option<PathBuf>, output: Output) -> Result<Config, ConfigError> {
    let config = load(file)?.resolve()?;
    logging::init(&config.log_level, output);
    Ok(config)
}
