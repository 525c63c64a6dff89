//! The commands of every binary. All but `serve` work beside a running server and without one.

use std::io;

use app_config::Config;
use configuration::{redacted_url, without_slash};
use http_kit::request_log::panic_text;
use sea_orm::DatabaseExecutor;
use secrecy::ExposeSecret as _;
use shared_kernel::job::Queue;

use crate::application::{Addresses, Application};
use crate::cli::MigrateCommand;
use crate::console::{CommandError, confirm, print};
use crate::databases::connect;
use crate::logging::Output;
use crate::migrations::{Standing, apply, occupied};
use crate::product::Product;
use crate::worker;

/// Runs the server until it is told to stop (SIGTERM, SIGHUP or Ctrl-C).
///
/// # Errors
///
/// The reason why it cannot start.
pub(crate) async fn serve(product: &'static Product, config: Config) -> Result<(), CommandError> {
    prepare_process();
    let application = Application::build(product, config.clone()).await?;
    raise_file_limit(&config, application.connections());
    // Before the announcement, because whoever reads it may stop the server at once.
    let stop = stop_signal()?;
    announce(product, &config, application.addresses())?;
    application.run(stop).await
}

/// Chooses the TLS backend, and logs panics.
fn prepare_process() {
    // If a second TLS backend ever gets into the build, rustls would refuse to choose between them.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(panic = panic_text(panic.payload()), place, "panic");
    }));
}

/// Runs jobs until the process is told to stop.
///
/// # Errors
///
/// The reason why it cannot start, or why it stopped by itself.
pub(crate) async fn work(
    product: &'static Product,
    config: Config,
    queues: Vec<Queue>,
) -> Result<(), CommandError> {
    prepare_process();
    let stop = stop_signal()?;
    worker::run(product, config, queues, stop).await
}

/// Changes the schema.
///
/// # Errors
///
/// The database failed.
pub(crate) async fn migrate(
    product: &Product,
    config: &Config,
    command: MigrateCommand,
) -> Result<(), CommandError> {
    let databases = connect(config, product.resources()).await?;
    let (migrations, primary) = (product.migrations, databases.primary());
    match command {
        MigrateCommand::Up { yes } => {
            let up = apply::locked(config, primary, async |database: &DatabaseExecutor<'_>| {
                occupied::refuse(migrations, config, database, yes).await?;
                apply::up(migrations, config, database).await
            });
            print(&list("applied", &up.await?))
        }
        MigrateCommand::Down { all, steps, yes } => {
            let steps = (!all).then_some(steps);
            if !yes {
                confirm(&what_goes(config, steps), "--yes does it without asking")?;
            }
            let down = async |database: &DatabaseExecutor<'_>| {
                apply::down(migrations, config, database, steps).await
            };
            print(&list("reverted", &apply::locked(config, primary, down).await?))
        }
        MigrateCommand::Repair => {
            let repair =
                async |database: &DatabaseExecutor<'_>| apply::repair(migrations, config, database).await;
            let found = apply::locked(config, primary, repair).await?;
            print(
                &(list("removed from the record", &found.unknown)
                    + &list("accepted as it is", &found.changed)),
            )
        }
        MigrateCommand::Status => print(&status(&migrations.standing(&primary.into()).await?)),
    }
}

/// One line for each migration.
fn status(standing: &Standing) -> String {
    let applied = standing.applied.iter().map(|name| {
        let state = if standing.changed.contains(name) { "changed" } else { "applied" };
        (state, name)
    });
    let pending = standing.pending.iter().map(|name| ("pending", name));
    let unknown = standing.unknown.iter().map(|name| ("unknown", name));
    let mut all: Vec<_> = applied.chain(pending).chain(unknown).collect();
    all.sort_by_key(|(_, name)| *name);
    all.iter().fold(String::new(), |text, (state, name)| text + state + "  " + name + "\n")
}

/// What reverting loses.
fn what_goes(config: &Config, steps: Option<u32>) -> String {
    let database = redacted_url(config.database.url.expose_secret());
    let which = match steps {
        None => "all migrations".to_owned(),
        Some(1) => "the last migration".to_owned(),
        Some(steps) => format!("the last {steps} migrations"),
    };
    format!(
        "{which} of {database} will be reverted, and what they held is lost, also for a server that is running"
    )
}

fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("nothing was {what}\n");
    }
    names.iter().fold(String::new(), |text, name| text + what + "  " + name + "\n")
}

/// Announces the addresses: as a list on a terminal, as log events elsewhere.
fn announce(product: &Product, config: &Config, addresses: &Addresses) -> Result<(), CommandError> {
    let url = addresses.public_url.as_str().trim_end_matches('/');
    let database = redacted_url(config.database.url.expose_secret());
    let origin = &config.provenance.database_url;
    if !config.provenance.unprefixed.is_empty() {
        // Other programs use these names too, so a shell may have them for another program.
        let variables = config.provenance.unprefixed.join(", ");
        let prefix = config.variable("");
        tracing::info!(variables, "settings are taken from variables without the prefix {prefix}");
    }
    if !Output::Stdout.is_terminal() {
        for (name, url) in &addresses.others {
            tracing::info!(name, url = without_slash(url), "listening");
        }
        tracing::info!(url, address = %addresses.api, database, database_from = origin, "ready");
        return Ok(());
    }
    let data = config.data_dir.display();
    let first_steps =
        product.first_steps.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
    let name = &config.project_name;
    let others = addresses
        .others
        .iter()
        .fold(String::new(), |text, (name, url)| text + &format!("    {name:<10} {}\n", without_slash(url)));
    print(&format!(
        "
  {name} is ready ({environment})

    API        {url}/api/v1
    Docs       {url}/docs   and   {url}/redoc
    Health     {url}/health/ready
    Data       {data}
    Database   {database}   (from: {origin})
{others}    Mail       {data}/mail

{first_steps}
    Stop with Ctrl-C. All settings: {program} config --help

",
        environment = config.environment,
        program = product.name,
    ))
}

/// Raises the limit of open files: each connection is a file, and the usual limit is 1,024.
#[cfg(unix)]
fn raise_file_limit(config: &Config, connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Databases, files, the log.
    const OTHERS: usize = 256;
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let wanted = connections + OTHERS;
    let files = getrlimit(Resource::Nofile).current;
    if let Some(files) = files.filter(|files| u64::try_from(wanted).is_ok_and(|wanted| *files < wanted)) {
        tracing::warn!(
            files,
            wanted,
            "fewer files may be open than there may be connections: raise the limit (ulimit -n, LimitNOFILE=) or set {} to less",
            config.variable("server.connections")
        );
    }
}

#[cfg(not(unix))]
fn raise_file_limit(_: &Config, _: usize) {}

/// Completes when the process is told to stop. Signals are handled from the call on, not from the first poll: one that arrives before
/// the server runs must not kill the process.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // The terminal was closed, or somebody expects a reload: there is nothing to reload, so stop in order.
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Completes when the process is told to stop.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
