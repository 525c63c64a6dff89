//! Jobs: in the server, and in a process of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use app_config::Config;
use configuration::redacted_url;
use messaging::{JobRegistry, Relay, RelaySettings, WorkerSettings, Workers};
use secrecy::ExposeSecret as _;
use shared_kernel::job::Queue;
use shared_kernel::session::Databases;
use tokio_util::sync::CancellationToken;

use crate::console::CommandError;
use crate::databases::make_folder;
use crate::foundation::{Foundation, start_modules};
use crate::product::Product;
use crate::sweep;
use crate::wiring::Role;

/// Number of threads of handlers that do not end, after which a worker ends itself: a process manager starts another. A server goes on,
/// because it answers requests, too.
const MOST_GIVEN_UP: usize = 3;

/// Part of `server.shutdown_grace` in which jobs are given back that have not ended.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// What runs these jobs, as it is configured.
pub(crate) fn workers(
    config: &Config,
    databases: &Databases,
    registry: JobRegistry,
) -> Result<Workers, CommandError> {
    let jobs = &config.jobs;
    let settings = WorkerSettings {
        host: host(),
        queues: jobs.queues.iter().cloned().collect(),
        slots: jobs.slots,
        kept: jobs.kept,
        dead_kept: jobs.dead_kept,
        // The rest is for giving back those that go on.
        shutdown_grace: config.server.shutdown_grace.saturating_sub(GIVING_BACK),
        ..WorkerSettings::default()
    };
    let workers = Workers::new(databases.clone(), registry, settings)?;
    let known = workers.queues();
    if let Some((unknown, _)) = jobs.queues.iter().find(|(queue, _)| !known.contains(queue)) {
        let known = known.iter().map(Queue::as_str).collect::<Vec<_>>().join(", ");
        return Err(CommandError::message(format!("no job has the queue {unknown}: there are {known}")));
    }
    Ok(workers)
}

/// Name of this machine.
fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    "unknown".to_owned()
}

/// Runs jobs until `stop` completes, of these queues or of all.
///
/// # Errors
///
/// The reason why it cannot start, or why it stopped by itself.
pub(crate) async fn run(
    product: &'static Product,
    config: Config,
    queues: Vec<Queue>,
    stop: impl Future<Output = ()>,
) -> Result<(), CommandError> {
    make_folder(&config.data_dir)?;
    let config = only(config, queues.clone());
    let foundation = Foundation::lay(product, &config).await?;
    let databases = &foundation.databases;
    let mut wiring = foundation.wiring(&config, Role::Worker);
    start_modules(product, &mut wiring).await?;
    let mut jobs = std::mem::take(&mut wiring.parts.jobs);
    // It delivers no events here.
    sweep::register(&mut jobs, Relay::new(databases.clone(), Vec::new(), RelaySettings::default())?)?;
    let workers = workers(&config, databases, jobs)?;
    let queues = workers.queues();
    let slots = queues.iter().map(|queue| format!("{queue}={}", workers.slots_of(queue)));
    let database = redacted_url(config.database.url.expose_secret());
    tracing::info!(queues = slots.collect::<Vec<_>>().join(","), database, "this worker is ready");
    let shutdown = CancellationToken::new();
    let mut running = Box::pin(workers.run(shutdown.clone()));
    tokio::select! {
        // Only when it is told to.
        () = &mut running => return Ok(()),
        () = stop => {}
        () = workers.given_up(MOST_GIVEN_UP) => {}
    }
    tracing::info!("stopping: jobs that run are finished first, or given back");
    shutdown.cancel();
    running.await;
    tracing::info!("this worker has stopped");
    if workers.threads_given_up() >= MOST_GIVEN_UP {
        return Err(CommandError::message(format!(
            "{MOST_GIVEN_UP} jobs did not end in time and cannot be interrupted, so this worker ends: see its log"
        )));
    }
    Ok(())
}

/// The configuration with slots for these queues only.
fn only(mut config: Config, queues: Vec<Queue>) -> Config {
    if queues.is_empty() {
        return config;
    }
    let jobs = &mut config.jobs;
    let known: BTreeMap<_, _> = jobs.queues.iter().cloned().collect();
    jobs.queues = queues
        .into_iter()
        .map(|queue| (queue.clone(), known.get(&queue).copied().unwrap_or(jobs.slots)))
        .collect();
    jobs.slots = 0;
    config
}
