//! The project's own commands: `cargo xtask ci` runs every check, `cargo xtask openapi` writes the contract down again.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line tool: what it prints is its result")]
#![expect(
    clippy::disallowed_methods,
    reason = "a tool beside the product: it times its steps, waits for servers and reads the environment that CI gives it"
)]

mod ci;
mod coverage_report;
mod graph;
mod licence;
mod markdown;
mod process;
mod python;
mod server;
mod steps;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tools of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check, or some of them.
    Ci(ci::Options),
    /// Write docs/openapi.json again, from the code.
    Openapi,
}

fn main() -> ExitCode {
    let outcome = Workspace::find().and_then(|workspace| match Cli::parse().command {
        Task::Ci(options) => ci::run(&workspace, &options),
        Task::Openapi => steps::openapi::write(&workspace).map(|()| true),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
