//! The command line: commands and their arguments.

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand};

use shared_kernel::job::Queue;

use crate::job_commands::JobsCommand;
use crate::module::{Invocation, Verb};
use crate::product::Product;

/// The command line, without the commands of the modules.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    /// Read this file in place of the usual one
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do; serve if nothing is named
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands of every binary.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until it is told to stop (the default)
    Serve,
    /// Run durable jobs until it is told to stop, beside servers or instead of `jobs.in_server`
    Worker {
        /// Only the jobs of these queues [default: all]
        #[arg(long, value_name = "QUEUE", value_delimiter = ',')]
        queues: Vec<Queue>,
    },
    /// List durable jobs, and try them again or cancel them
    #[command(subcommand)]
    Jobs(JobsCommand),
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
    Config {
        /// Print the reference of all keys as Markdown instead
        #[arg(long)]
        reference: bool,
    },
}

/// Changes of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply all pending migrations
    Up {
        /// Also in a database that has tables of another program and none of this one
        #[arg(long)]
        yes: bool,
    },
    /// Revert the last migration, or more; their data is lost
    Down {
        /// Revert all of them
        #[arg(long, conflicts_with = "steps")]
        all: bool,
        /// Number of migrations to revert
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Do it without asking; needed where no terminal is there to ask on
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations: applied, pending, changed since they ran, or unknown to this build
    Status,
    /// Record that the schema is what this build makes, and change no table
    ///
    /// For a start that is refused because the database ran other migrations than this build has, when you know that its tables are
    /// right: those that the build does not have are removed from the record, and those that have changed are accepted as they are.
    Repair,
}

/// The command line of a product, with the commands of its modules.
#[must_use]
pub fn command(product: &Product) -> clap::Command {
    let own = Cli::command()
        .name(product.name)
        .version(product.version)
        .about(format!("The {} server and its tools", product.title))
        .mut_arg("config", |file| file.help(format!("Read this file in place of {}.toml", product.name)))
        .mut_subcommand("config", |config| {
            config.after_long_help(product.config_schema().table().terminal())
        });
    verbs(product).fold(own, |cli, verb| cli.subcommand((verb.command)()))
}

fn verbs(product: &Product) -> impl Iterator<Item = &'static Verb> {
    product.modules.iter().flat_map(|module| module.commands)
}

/// The command of a module that the arguments name.
pub(crate) fn verb(product: &Product, arguments: &ArgMatches) -> Option<&'static Verb> {
    let name = arguments.subcommand_name()?;
    verbs(product).find(|verb| (verb.command)().get_name() == name)
}

/// The invocation of a module's command.
pub(crate) fn invocation(product: &Product, arguments: &ArgMatches) -> Invocation {
    Invocation {
        file: arguments.get_one::<PathBuf>("config").cloned(),
        arguments: arguments.subcommand().map_or_else(ArgMatches::default, |(_, own)| own.clone()),
        schema: product.config_schema(),
        resources: product.resources(),
        migrations: product.migrations,
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::migrations::Migrations;
    use crate::module::Module;

    /// A module with a command.
    static MODULE: Module = Module {
        commands: &[Verb { command: || clap::Command::new("greet"), run: |_| Box::pin(async { Ok(()) }) }],
        ..Module::EMPTY
    };

    static PRODUCT: Product = Product {
        name: "shop",
        title: "Shop",
        version: "1.2.3",
        api_description: "",
        first_steps: "",
        modules: &[&MODULE],
        migrations: Migrations::EMPTY,
    };

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::from_arg_matches(&command(&PRODUCT).try_get_matches_from(arguments)?)
    }

    #[test]
    fn the_command_line_is_consistent_and_named_after_the_product() {
        let mut command = command(&PRODUCT);
        command.clone().debug_assert();
        assert_eq!(command.render_version(), "shop 1.2.3\n");
        assert!(command.render_long_help().to_string().contains("in place of shop.toml"));
    }

    #[test]
    fn serve_is_the_default_and_config_is_accepted_anywhere() {
        assert!(parsed(&["shop"]).unwrap().command.is_none());
        let cli = parsed(&["shop", "migrate", "down", "--config", "a.toml", "--steps", "2"]).unwrap();
        assert_eq!(cli.config, Some(PathBuf::from("a.toml")));
        let Some(Command::Migrate(migrate)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(migrate, MigrateCommand::Down { all: false, steps: 2, yes: false });
    }

    #[test]
    fn a_command_of_a_module_is_found_by_its_name() {
        let arguments = command(&PRODUCT).try_get_matches_from(["shop", "greet"]).unwrap();
        assert!(verb(&PRODUCT, &arguments).is_some());
        let arguments = command(&PRODUCT).try_get_matches_from(["shop", "serve"]).unwrap();
        assert!(verb(&PRODUCT, &arguments).is_none());
    }

    #[test]
    fn wrong_usage_is_refused() {
        for wrong in [
            &["shop", "migrate"][..],
            &["shop", "migrate", "down", "--all", "--steps", "1"],
            &["shop", "migrate", "down", "--steps", "0"],
            &["shop", "nonsense"],
        ] {
            assert_eq!(parsed(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }
}
