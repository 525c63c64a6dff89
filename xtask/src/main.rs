//! The project's own commands: `cargo xtask ci` runs every check, `cargo xtask openapi` writes the contract down again,
//! `cargo xtask new-domain` makes a new domain, and `cargo xtask rename` gives the product another name.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a tool beside the product: it times its steps, waits for servers and reads the environment that CI gives it"
)]

mod ci;
mod coverage_report;
mod domain;
mod graph;
mod licence;
mod markdown;
mod node;
mod output;
mod process;
mod product;
mod python;
mod rename;
mod rustfmt;
mod server;
mod steps;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::domain::Refusal;
use crate::domain::commands::{add_field, list, new_domain, new_migration, remove_domain};
use crate::workspace::Workspace;

/// How the tool ends when what was asked for breaks a rule, as clap does for wrong usage.
const REFUSED: u8 = 2;

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
    /// Write the reference in docs/configuration.md again, from the code.
    Configuration,
    /// Break what the server needs, one thing after the other, and write docs/faults.md again.
    Faults,
    /// Burden the server with many clients at once, and write docs/load.md again.
    Load,
    /// Measure the product beside a bare server and a plain one on the same database, as docs/performance.md explains.
    Bench(steps::bench::Options),
    /// Make a new domain: its crate, migration, routes, tests and documentation.
    NewDomain(new_domain::Options),
    /// Add fields to a domain that was generated.
    AddField(add_field::Options),
    /// Remove a domain as if it had never been: one that was generated, or that was written by hand and says what belongs to it.
    RemoveDomain(remove_domain::Options),
    /// Make an empty migration.
    NewMigration(new_migration::Options),
    /// List the domains, and how they were made.
    Domains(list::Options),
    /// Give the product another name: its binary, variables, files and texts.
    Rename(rename::Options),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match Workspace::find().and_then(|workspace| run(&workspace, command)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::say!("error: {error:#}");
            if error.is::<Refusal>() { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
        }
    }
}

fn run(workspace: &Workspace, command: Task) -> Result<bool> {
    match command {
        Task::Ci(options) => ci::run(workspace, &options),
        Task::Openapi => steps::openapi::write(workspace).map(|()| true),
        Task::Configuration => steps::configuration::write(workspace).map(|()| true),
        Task::Faults => steps::faults::write(workspace),
        Task::Load => steps::load::write(workspace).map(|()| true),
        Task::Bench(options) => steps::bench::run(workspace, &options),
        Task::NewDomain(options) => new_domain::run(workspace, &options),
        Task::AddField(options) => add_field::run(workspace, &options),
        Task::RemoveDomain(options) => remove_domain::run(workspace, &options),
        Task::NewMigration(options) => new_migration::run(workspace, &options),
        Task::Domains(options) => list::run(workspace, &options),
        Task::Rename(options) => rename::run(workspace, &options),
    }
}
