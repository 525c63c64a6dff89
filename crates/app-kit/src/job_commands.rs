//! The command `jobs`: durable jobs, for operators. It works beside a running server and without one.

use app_config::Config;
use clap::Subcommand;
use configuration::redacted_url;
use messaging::{JobAdmin, JobFilter, JobRecord, QueueRecord, ScheduleRecord, WaitsFor, WorkerRecord};
use sea_orm::Iterable as _;
use secrecy::ExposeSecret as _;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::Origin;
use shared_kernel::job::{JobId, JobState, Priority, Queue};
use shared_kernel::page::PageRequest;

use crate::console::{CommandError, print};
use crate::databases::connect;
use crate::product::Product;

/// What is done with jobs.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    List {
        /// Only jobs in this state: waiting, running, done, dead, cancelled or superseded
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<JobState>,
        /// Only dead jobs, which failed too often and are not tried again: the same as --state dead
        #[arg(long, conflicts_with = "state")]
        dead: bool,
        /// Only jobs of this queue
        #[arg(long, value_name = "QUEUE")]
        queue: Option<Queue>,
        /// Only jobs of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Number of jobs
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        limit: u64,
    },
    /// Show everything about one job
    Show {
        /// Its id: job_…
        id: JobId,
    },
    /// Try a dead, cancelled or superseded job again, or run a waiting one now
    Retry {
        /// Its id: job_…
        id: JobId,
    },
    /// Cancel a job; one that runs is told to stop, and may still succeed
    Cancel {
        /// Its id: job_…
        id: JobId,
    },
    /// List the queues: how many jobs wait in each, how many run, and whether it is paused
    Queues,
    /// List the processes that run jobs
    Workers,
    /// List the schedules, with the last time of each and the next
    Schedules,
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

/// A state by its name.
fn state(name: &str) -> Result<JobState, String> {
    let states: Vec<JobState> = JobState::iter().collect();
    let found = states.iter().find(|state| state.to_string() == name).copied();
    found.ok_or_else(|| {
        let names: Vec<String> = states.iter().map(ToString::to_string).collect();
        format!("the states are {}", names.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
///
/// There is no such job or queue, or the state of the job does not allow it; the database failed.
pub(crate) async fn run(
    product: &Product,
    config: &Config,
    command: JobsCommand,
) -> Result<(), CommandError> {
    let databases = connect(config, product.resources()).await?;
    if let Some(pending) = product.migrations.standing(&databases.primary().into()).await?.pending.first() {
        let database = redacted_url(config.database.url.expose_secret());
        return Err(CommandError::message(format!(
            "the tables of {database} are not those of this release: the migration {pending} is missing, and a start of the server or the command `migrate up` applies it"
        )));
    }
    let (admin, session) = (JobAdmin::new(databases.clone()), databases.write().with_fresh_plans());
    session.set_origin(Origin::system("jobs"));
    match command {
        JobsCommand::List { state, dead, queue, kind, limit } => {
            let state = if dead { Some(JobState::Dead) } else { state };
            let filter = JobFilter { state, queue: queue.map(|queue| queue.to_string()), kind };
            let now = databases.clock().now();
            let page = admin
                .list(&databases.read_primary().with_fresh_plans(), &filter, &PageRequest::first(limit))
                .await?;
            print(&jobs(&page.items, page.next_cursor.is_some(), now))
        }
        JobsCommand::Show { id } => {
            let job = admin.get(&databases.read_primary().with_fresh_plans(), id).await?;
            print(&details(&job, databases.clock().now()))
        }
        JobsCommand::Retry { id } => {
            let job = admin.retry(&session, id).await?;
            session.commit(()).await?.into_value();
            let queues = admin.queues().await?;
            let is_paused =
                |record: &QueueRecord| record.queue.as_str() == job.queue && record.paused_at.is_some();
            let when = if queues.iter().any(is_paused) {
                format!("the queue {} is resumed", job.queue)
            } else {
                "a worker is free".to_owned()
            };
            print(&format!("{} runs as soon as {when}\n", job.id))
        }
        JobsCommand::Cancel { id } => {
            let job = admin.cancel(&session, id).await?;
            session.commit(()).await?.into_value();
            let told = if job.state == JobState::Running { "is told to stop" } else { "is cancelled" };
            print(&format!("{id} {told}\n"))
        }
        JobsCommand::Queues => print(&queues(&admin.queues().await?)),
        JobsCommand::Workers => print(&workers(&admin.workers().await?)),
        JobsCommand::Schedules => print(&schedules(&admin.schedules().await?)),
        JobsCommand::Pause { queue } => {
            admin.pause(&session, queue.as_str()).await?;
            session.commit(()).await?.into_value();
            print(&format!("the queue {queue} is paused; workers notice it within five seconds\n"))
        }
        JobsCommand::Resume { queue } => {
            admin.resume(&session, queue.as_str()).await?;
            session.commit(()).await?.into_value();
            print(&format!("the queue {queue} is resumed; workers notice it within five seconds\n"))
        }
    }
}

/// The state, with what a job waits for unless that is a worker.
fn waiting(job: &JobRecord, now: Timestamp) -> String {
    let what = match job.waits_for(now) {
        None | Some(WaitsFor::Worker) => return job.state.to_string(),
        Some(WaitsFor::Time) => "delayed",
        Some(WaitsFor::SerialKey) => "serial key",
        Some(WaitsFor::Kind) => "unknown kind",
    };
    format!("{} ({what})", job.state)
}

fn jobs(jobs: &[JobRecord], are_more: bool, now: Timestamp) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let rows = jobs.iter().map(|job| {
        let error = job.last_error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        [
            job.id.to_string(),
            waiting(job, now),
            job.kind.clone(),
            job.queue.clone(),
            job.failures.to_string(),
            seconds(job.created_at),
            error.chars().take(LONGEST_ERROR).collect(),
        ]
    });
    let titles = ["ID", "STATE", "KIND", "QUEUE", "FAILURES", "ENQUEUED", "LAST ERROR"];
    let more = if are_more { "… and more: --limit shows up to 1000\n" } else { "" };
    table(titles, rows) + more
}

fn queues(queues: &[QueueRecord]) -> String {
    let rows = queues.iter().map(|record| {
        [
            record.queue.to_string(),
            record.due.to_string(),
            optional(record.oldest),
            record.running.to_string(),
            record.slots.to_string(),
            optional(record.paused_at),
        ]
    });
    table(["QUEUE", "DUE", "OLDEST", "RUNNING", "SLOTS", "PAUSED"], rows)
}

fn workers(workers: &[WorkerRecord]) -> String {
    if workers.is_empty() {
        return "no process runs jobs\n".to_owned();
    }
    let rows = workers.iter().map(|worker| {
        let slots = worker.queues.as_object().into_iter().flatten();
        let slots: Vec<String> = slots.map(|(queue, slots)| format!("{queue}={slots}")).collect();
        [
            worker.id.clone(),
            worker.host.clone(),
            seconds(worker.started_at),
            seconds(worker.beat_at),
            optional(worker.silent_since),
            slots.join(","),
        ]
    });
    table(["ID", "HOST", "STARTED", "LAST BEAT", "SILENT SINCE", "SLOTS"], rows)
}

fn schedules(schedules: &[ScheduleRecord]) -> String {
    if schedules.is_empty() {
        return "no worker has run a schedule yet\n".to_owned();
    }
    let rows = schedules.iter().map(|schedule| {
        let job = schedule.last_job_id.map_or_else(|| NONE.to_owned(), |id| id.to_string());
        [schedule.name.clone(), optional(schedule.last_at), seconds(schedule.next_at), job]
    });
    table(["SCHEDULE", "LAST", "NEXT", "LAST JOB"], rows)
}

/// Number of characters of an error that a line shows.
const LONGEST_ERROR: usize = 80;

/// Stands for a value that is not there.
const NONE: &str = "-";

/// A time to the second.
fn seconds(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn optional(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NONE.to_owned(), seconds)
}

/// Rows below their titles, each column as wide as its widest text.
fn table<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    rows.iter().fold(String::new(), |text, row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text + cells.collect::<Vec<_>>().join("  ").trim_end() + "\n"
    })
}

fn priority(number: i16) -> &'static str {
    match Priority::of_number(number) {
        Priority::Urgent => "urgent",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// All columns that have a value.
fn details(job: &JobRecord, now: Timestamp) -> String {
    let progress = job.done_count.map(|done| match job.total_count {
        Some(total) => format!("{done} of {total}"),
        None => done.to_string(),
    });
    let rows = [
        ("id", Some(job.id.to_string())),
        ("kind", Some(format!("{} (version {})", job.kind, job.version))),
        ("state", Some(waiting(job, now))),
        ("queue", Some(format!("{} ({} priority)", job.queue, priority(job.priority)))),
        ("attempts", Some(job.attempts.to_string())),
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
        ("told to stop", job.cancel_asked_at.map(|at| at.to_string())),
        ("finished at", job.finished_at.map(|at| at.to_string())),
        ("payload", Some(job.payload.to_string())),
    ];
    let known = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.fold(String::new(), |text, (name, value)| text + &format!("{name:<12} {value}\n"))
}
