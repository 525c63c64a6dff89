//! Workers: they claim jobs, call their handlers, and record how they end.
//!
//! | module | what is in it |
//! |---|---|
//! | `store`, `row` | the statements on the table |
//! | `turns` | jobs with a serial key |
//! | `members` | heart-beats, and who is silent |
//! | `notify` | wake-ups between processes |
//! | `shift` | which jobs this process runs |
//! | `claims` | the loop that looks for jobs that are due |
//! | `record`, `admin` | jobs, for operators |
//! | `queues`, `overview` | queues, workers and schedules, for operators |
//! | `attempt` | one attempt of a job |
//! | `cron` | schedules |
//! | `status` | what health checks tell |
//! | `upkeep` | heart-beats, rescue, and the deletion of old jobs |

mod admin;
mod attempt;
mod claims;
mod cron;
mod members;
mod notify;
mod overview;
mod queues;
mod record;
mod row;
mod settings;
mod shift;
mod status;
mod store;
mod turns;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::join_all;
use shared_kernel::job::{InvalidJob, Lane, Queue};
use shared_kernel::job_handler::{JobKind, Schedule};
use shared_kernel::session::{Databases, SessionError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use self::admin::{JobAdmin, JobAdminError, JobFilter};
use self::attempt::Runner;
use self::claims::Desk;
pub use self::overview::{ScheduleRecord, WorkerRecord};
pub use self::queues::QueueRecord;
pub use self::record::{Model as JobRecord, WaitsFor};
use self::row::WorkerId;
pub use self::settings::WorkerSettings;
use self::shift::Shift;
use self::status::LastStatus;
pub use self::status::{JobStatus, UnknownKind};
use self::store::{End, Store};
use crate::work::{PAUSE_AFTER_FAILURE, report};

/// Runs jobs, with the guarantees of [`shared_kernel::job_handler`].
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    kinds: BTreeMap<&'static str, JobKind>,
    schedules: Vec<Schedule>,
    settings: WorkerSettings,
    runner: Runner,
    /// Whether notifications of other processes arrive.
    hears_others: AtomicBool,
    status: LastStatus,
}

/// The jobs of a product.
#[derive(Clone, Debug, Default)]
pub struct JobRegistry {
    /// Kinds with their handlers.
    pub kinds: Vec<JobKind>,
    /// Jobs that are enqueued at certain times.
    pub schedules: Vec<Schedule>,
}

/// The kinds of jobs do not fit each other.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKinds {
    /// Two kinds have the same name.
    #[error("two kinds of jobs have the name {0:?}")]
    SameName(&'static str),
    /// Two schedules have the same name.
    #[error("two schedules have the name {0:?}")]
    SameSchedule(&'static str),
    /// A schedule enqueues jobs that nobody here could run.
    #[error("the schedule {schedule:?} enqueues jobs of the kind {kind:?}, which is not registered")]
    NoKind {
        /// Name of the schedule.
        schedule: &'static str,
        /// Name of the kind.
        kind: &'static str,
    },
    /// The name cannot be stored.
    #[error(transparent)]
    Name(#[from] InvalidJob),
}

/// Time that one statement has at the end of the process.
const LAST_SECONDS: Duration = Duration::from_secs(2);

/// Number of handlers that may write at the same time: some connections are for claims and heart-beats, without which others would take
/// this worker for dead.
fn writers_for_handlers(databases: &Databases) -> usize {
    databases.writers().saturating_sub(2).max(1)
}

impl Workers {
    /// Workers for these kinds and schedules. They do nothing until they [run](Self::run).
    ///
    /// # Errors
    ///
    /// The name of a kind cannot be stored, two kinds or two schedules have the same, or a schedule's kind is not registered.
    pub fn new(
        databases: Databases,
        jobs: JobRegistry,
        settings: WorkerSettings,
    ) -> Result<Self, InvalidKinds> {
        let mut kinds = BTreeMap::new();
        for kind in jobs.kinds {
            kind.check()?;
            let name = kind.name();
            if kinds.insert(name, kind).is_some() {
                return Err(InvalidKinds::SameName(name));
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = jobs.schedules.iter().find(|schedule| !names.insert(schedule.name())) {
            return Err(InvalidKinds::SameSchedule(twice.name()));
        }
        if let Some(schedule) = jobs.schedules.iter().find(|schedule| !kinds.contains_key(schedule.kind())) {
            return Err(InvalidKinds::NoKind { schedule: schedule.name(), kind: schedule.kind() });
        }
        let settings = settings.bounded();
        let store = Store { databases };
        let runner = Runner {
            store: store.clone(),
            blocking_grace: settings.blocking_grace,
            given_up: Arc::new(watch::Sender::new(0)),
            writers: Arc::new(Semaphore::new(writers_for_handlers(&store.databases))),
        };
        let shared = Shared {
            store,
            kinds,
            schedules: jobs.schedules,
            settings,
            runner,
            hears_others: AtomicBool::new(false),
            status: LastStatus::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs jobs until `shutdown` is cancelled. Those that run then have the [grace](WorkerSettings::shutdown_grace) to end, and are given
    /// back after that, which counts as no failure. A failure of the database is logged and tried again.
    ///
    /// Dropping the future drops the jobs that run; other workers run them again when this one has been silent for long.
    pub async fn run(&self, shutdown: CancellationToken) {
        // Everything that a worker does at the same time is a large future.
        Box::pin(self.work(shutdown)).await;
    }

    async fn work(&self, shutdown: CancellationToken) {
        let Some(shift) = self.join_until(&shutdown).await else { return };
        let mut desk = Desk::new(&self.shared);
        tokio::select! {
            () = self.claim_until(&shift, &mut desk, &shutdown) => {}
            never = self.beat(&shift) => match never {},
            never = self.keep_up() => match never {},
            never = self.keep_time() => match never {},
            never = self.exchange() => match never {},
        }
        tokio::select! {
            () = self.finish(&shift, &mut desk) => {}
            never = self.beat(&shift) => match never {},
        }
        let worker = shift.worker().to_string();
        let leaving = self.shared.store.leave(&worker);
        if let Ok(Err(error)) = timeout(LAST_SECONDS, leaving).await {
            report(&error, "this worker cannot leave; others notice its silence");
        }
    }

    /// Runs all jobs that are due, and what they enqueue, and returns the number of attempts. For tests.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn run_pending(&self) -> Result<usize, SessionError> {
        let shift = self.join().await?;
        let mut desk = Desk::new(&self.shared);
        let mut ended = 0;
        loop {
            self.fill(&shift, &mut desk).await?;
            if !desk.wait_for_one(&shift).await {
                break;
            }
            ended += 1;
            desk.look_everywhere();
        }
        self.shared.store.leave(&shift.worker().to_string()).await?;
        Ok(ended)
    }

    /// What operators see and do, with the queues of these kinds.
    #[must_use]
    pub fn admin(&self) -> JobAdmin {
        JobAdmin::of_workers(self.shared.store.clone(), self.shared.queues())
    }

    /// Queues of the kinds.
    #[must_use]
    pub fn queues(&self) -> BTreeSet<Queue> {
        self.shared.queues()
    }

    /// Number of jobs of a queue that run at the same time.
    #[must_use]
    pub fn slots_of(&self, queue: &Queue) -> usize {
        self.shared.settings.slots_of(queue)
    }

    /// Number of threads of blocking handlers that did not end and were given up.
    #[must_use]
    pub fn threads_given_up(&self) -> usize {
        *self.shared.runner.given_up.borrow()
    }

    /// Completes when that many threads were given up.
    pub async fn given_up(&self, threads: usize) {
        let mut given_up = self.shared.runner.given_up.subscribe();
        // It is not closed while this is there.
        let _ = given_up.wait_for(|number| *number >= threads).await;
    }

    /// Joins the workers, and knows which queues are paused before it claims anything.
    async fn join(&self) -> Result<Shift, SessionError> {
        let paused = self.shared.store.paused().await?;
        let shift = Shift::of(self.shared.join().await?);
        shift.pause(paused);
        Ok(shift)
    }

    async fn join_until(&self, shutdown: &CancellationToken) -> Option<Shift> {
        loop {
            match self.join().await {
                Ok(shift) => return Some(shift),
                Err(error) => report(&error, "this worker cannot join yet"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = sleep(PAUSE_AFTER_FAILURE) => {}
            }
        }
    }

    /// Tells the jobs that run to stop, waits for them, and gives those back that go on.
    async fn finish(&self, shift: &Shift, desk: &mut Desk) {
        shift.ask_all_to_stop();
        let all = async { while desk.wait_for_one(shift).await {} };
        if timeout(self.shared.settings.shutdown_grace, all).await.is_ok() {
            return;
        }
        // A handler that blocks its thread cannot be aborted.
        let _ = timeout(LAST_SECONDS, desk.abort()).await;
        let left = shift.all();
        tracing::warn!(jobs = left.len(), "jobs were interrupted by the shutdown; they go on later");
        let end = End::Later { again: self.shared.store.now() };
        let returning = join_all(left.iter().map(|running| self.shared.store.end(&running.claim, &end)));
        let returned = timeout(LAST_SECONDS, returning).await.unwrap_or_default();
        if returned.len() < left.len() || returned.iter().any(Result::is_err) {
            tracing::warn!("jobs cannot be given back; others notice that this worker is gone");
        }
    }
}

impl Shared {
    /// Joins the workers.
    async fn join(&self) -> Result<WorkerId, SessionError> {
        let slots = |queue: Queue| (queue.to_string(), self.settings.slots_of(&queue));
        self.store.join(&self.settings.host, &self.queues().into_iter().map(slots).collect()).await
    }

    /// Queues of the kinds.
    fn queues(&self) -> BTreeSet<Queue> {
        self.kinds.values().map(|kind| kind.queue().clone()).collect()
    }

    /// The kind of a job, if this build knows it in that version.
    fn kind(&self, name: &str, version: i32) -> Option<&JobKind> {
        self.kinds.get(name).filter(|kind| kind.versions().contains(&version))
    }

    /// The lanes of jobs that another worker did not know and this one does.
    fn odd_lanes(&self) -> impl Iterator<Item = Lane> {
        self.kinds.values().flat_map(|kind| {
            kind.versions().map(|version| Lane::Odd {
                queue: kind.queue().clone(),
                kind: kind.name().to_owned(),
                version,
            })
        })
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("kinds", &self.shared.kinds.keys())
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
