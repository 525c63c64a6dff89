//! The command `jobs`: durable jobs, for operators. It works beside a running server and without one.

use std::fmt::Write as _;

use app_config::Config;
use clap::Subcommand;
use messaging::{JobAdmin, JobFilter, JobRecord};
use shared_kernel::job::{JobId, Queue};

use crate::console::{CommandError, print};
use crate::databases::connect;
use crate::product::Product;

/// What is done with jobs.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    List {
        /// Those that failed too often and are not tried again, the last first
        #[arg(long, group = "which")]
        dead: bool,
        /// Those that run
        #[arg(long, group = "which")]
        running: bool,
        /// Those that were cancelled, the last first
        #[arg(long, group = "which")]
        cancelled: bool,
        /// Those of this queue that a worker may run, in that order; not those behind another of their serial key
        #[arg(long, group = "which", value_name = "QUEUE")]
        queue: Option<Queue>,
        /// Number of jobs
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        limit: u64,
    },
    /// Show everything about one job
    Show {
        /// Its id: job_…
        id: JobId,
    },
    /// Try a dead or cancelled job again, or run a waiting one now
    Retry {
        /// Its id: job_…
        id: JobId,
    },
    /// Cancel a job; one that runs is told to stop
    Cancel {
        /// Its id: job_…
        id: JobId,
    },
    /// Let the jobs of a queue wait until it is resumed; those that run go on
    Pause {
        /// Its name
        queue: Queue,
    },
    /// Let the jobs of a paused queue run again
    Resume {
        /// Its name
        queue: Queue,
    },
}

/// Runs the command.
///
/// # Errors
///
/// There is no such job, or its state does not allow it; the database failed.
pub(crate) async fn run(
    product: &Product,
    config: &Config,
    command: JobsCommand,
) -> Result<(), CommandError> {
    let admin = JobAdmin::new(connect(config, product.resources()).await?);
    match command {
        JobsCommand::List { dead, running, cancelled, queue, limit } => {
            let filter = match (dead, running, cancelled, queue) {
                (true, ..) => JobFilter::Dead,
                (_, true, ..) => JobFilter::Running,
                (_, _, true, _) => JobFilter::Cancelled,
                (.., Some(queue)) => JobFilter::Waiting(queue),
                _ => JobFilter::All,
            };
            print(&table(&admin.list(&filter, limit).await?))
        }
        JobsCommand::Show { id } => print(&details(&admin.get(id).await?)),
        JobsCommand::Retry { id } => {
            admin.retry(id).await?;
            print(&format!("{id} runs as soon as a worker is free\n"))
        }
        JobsCommand::Cancel { id } => {
            admin.cancel(id).await?;
            let record = admin.get(id).await?;
            let told = if record.state == "running" { "is told to stop" } else { "is cancelled" };
            print(&format!("{id} {told}\n"))
        }
        JobsCommand::Pause { queue } => {
            admin.pause(&queue).await?;
            print(&format!("the queue {queue} is paused; workers notice it within five seconds\n"))
        }
        JobsCommand::Resume { queue } => {
            admin.resume(&queue).await?;
            print(&format!("the queue {queue} is resumed; workers notice it within five seconds\n"))
        }
    }
}

/// One line for each job.
fn table(jobs: &[JobRecord]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut text = format!(
        "{:<30}  {:<10}  {:<24}  {:<12}  {:>8}  {}\n",
        "ID", "STATE", "KIND", "QUEUE", "FAILURES", "LAST ERROR"
    );
    for job in jobs {
        let error = job.last_error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{:<30}  {:<10}  {:<24}  {:<12}  {:>8}  {:.80}",
            job.id, job.state, job.kind, job.queue, job.failures, error
        );
    }
    text.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// All columns that have a value.
fn details(job: &JobRecord) -> String {
    let progress = job.done_count.map(|done| match job.total_count {
        Some(total) => format!("{done} of {total}"),
        None => done.to_string(),
    });
    let rows = [
        ("id", Some(job.id.clone())),
        ("kind", Some(format!("{} (version {})", job.kind, job.version))),
        ("state", Some(job.state.clone())),
        ("queue", Some(format!("{} (priority {})", job.queue, job.priority))),
        ("attempts", Some(job.claim.to_string())),
        ("failures", Some(job.failures.to_string())),
        ("last error", job.last_error.clone()),
        ("progress", progress),
        ("serial key", job.serial_key.clone()),
        ("unique key", job.dedup_key.clone()),
        ("enqueued by", job.principal.clone()),
        ("worker", job.worker_id.clone()),
        ("enqueued at", Some(job.created_at.to_string())),
        ("due at", Some(job.due_at.to_string())),
        ("started at", job.started_at.map(|at| at.to_string())),
        ("finished at", job.finished_at.map(|at| at.to_string())),
        ("payload", Some(job.payload.to_string())),
    ];
    let known = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.fold(String::new(), |text, (name, value)| text + &format!("{name:<12} {value}\n"))
}
