//! The commands of this workspace: `cargo xtask ci` runs all checks, `cargo xtask openapi` writes the OpenAPI document,
//! `cargo xtask new-domain` generates a domain, and `cargo xtask rename` renames the product.
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
use crate::domain::commands::{add_field, list, new_domain, new_job, new_migration, remove_domain};
use crate::workspace::Workspace;

/// Exit code of a [`Refusal`]: the arguments break a rule. clap uses the same code for wrong usage.
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
    /// Run all checks, or some of them.
    Ci(ci::Options),
    /// Generate docs/openapi.json from the code.
    Openapi,
    /// Generate the reference of settings in docs/configuration.md from the code.
    Configuration,
    /// Simulate faults of the database and other dependencies, and write the results to docs/faults.md.
    Faults,
    /// Put the server under load of many clients, and write the results to docs/load.md.
    Load,
    /// Measure the product beside two simpler servers on the same database, as docs/performance.md explains.
    Bench(steps::bench::Options),
    /// Generate a new domain: its crate, migration, routes, tests and documentation.
    NewDomain(new_domain::Options),
    /// Add fields to a generated domain.
    AddField(add_field::Options),
    /// Remove a generated domain, or one that was written by hand and has a record of its files, without a trace.
    RemoveDomain(remove_domain::Options),
    /// Write a kind of durable job into a domain: payload, handler and test.
    NewJob(new_job::Options),
    /// Write an empty migration.
    NewMigration(new_migration::Options),
    /// List the domains, with the commands that generate them.
    Domains(list::Options),
    /// Rename the product: its binary, environment variables, files and texts.
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
        Task::NewJob(options) => new_job::run(workspace, &options),
        Task::NewMigration(options) => new_migration::run(workspace, &options),
        Task::Domains(options) => list::run(workspace, &options),
        Task::Rename(options) => rename::run(workspace, &options),
    }
}
