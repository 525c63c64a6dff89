//! Jobs, queues and schedules in answers.

use garde::Validate;
use messaging::{JobFilter, JobRecord, QueueRecord, ScheduleRecord, WaitsFor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared_kernel::clock::Timestamp;
use shared_kernel::crypto::sha256;
use shared_kernel::job::{JobId, JobState, Priority};
use shared_kernel::repository::{Representation, Revision};
use shared_kernel::text::SingleLine;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

/// A durable job: work that is done after a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Id of the job.
    id: JobId,
    /// Kind of the job.
    #[schema(examples("auth.welcome"))]
    kind: String,
    /// Version of the payload's schema.
    #[schema(examples(1))]
    version: i32,
    /// Queue in which the job waits.
    #[schema(examples("mail"))]
    queue: String,
    /// Priority within the queue.
    priority: JobPriority,
    /// State of the job.
    state: JobState,
    /// What the job waits for; null if it does not wait.
    #[schema(required)]
    waits_for: Option<JobWait>,
    /// Number of attempts.
    attempts: i32,
    /// Number of failures; a completed step of a long job starts the count anew.
    failures: i32,
    /// Error of the last failure, or why the job was cancelled.
    #[schema(required, examples("the mail server does not answer"))]
    last_error: Option<String>,
    /// Progress of a long job; null if the job reports none.
    #[schema(required)]
    progress: Option<JobProgress>,
    /// Payload: what the job is about.
    #[schema(schema_with = payload)]
    payload: serde_json::Value,
    /// Key of which one job runs at a time.
    #[schema(required, examples("account:usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"))]
    serial_key: Option<String>,
    /// Key of which one job waits.
    #[schema(required, examples("auth.welcome:usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"))]
    unique_key: Option<String>,
    /// Who enqueued the job.
    #[schema(required, examples("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"))]
    enqueued_by: Option<String>,
    /// Process that runs the job.
    #[schema(required, examples("wrk_01J9ZC3V8T5Q4X2M7N6P0R1S2T"))]
    worker_id: Option<String>,
    /// Time at which the job was enqueued.
    created_at: Timestamp,
    /// Time from which the job may run.
    due_at: Timestamp,
    /// Start of the last attempt.
    #[schema(required)]
    started_at: Option<Timestamp>,
    /// Time at which the running job was told to stop.
    #[schema(required)]
    cancel_requested_at: Option<Timestamp>,
    /// End of the job.
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

/// The schema of a payload: any JSON but an array. Usually it is an object.
fn payload() -> Object {
    let types = [Type::Object, Type::String, Type::Number, Type::Boolean, Type::Null];
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter(types))
        .examples([json!({"user_id": "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"})])
        .build()
}

/// Progress of a long job.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct JobProgress {
    /// Number of items that are done.
    done: i64,
    /// Number of all items, if it is known.
    #[schema(required)]
    total: Option<i64>,
}

/// Priority of a job within its queue.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobPriority {
    /// Before all others.
    Urgent,
    /// The usual one.
    Normal,
    /// When nothing else waits.
    Low,
}

impl From<Priority> for JobPriority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Urgent => Self::Urgent,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobWait {
    /// The time at which it is due.
    Time,
    /// A worker with a free slot, in a queue that is not paused.
    Worker,
    /// The end of another job with its serial key.
    SerialKey,
    /// A worker that knows its kind in this version. After a day the job is dead.
    Kind,
}

impl From<WaitsFor> for JobWait {
    fn from(waits_for: WaitsFor) -> Self {
        match waits_for {
            WaitsFor::Time => Self::Time,
            WaitsFor::Worker => Self::Worker,
            WaitsFor::SerialKey => Self::SerialKey,
            WaitsFor::Kind => Self::Kind,
        }
    }
}

impl Job {
    /// A job, as it is at that time.
    pub(crate) fn at(record: JobRecord, now: Timestamp) -> Self {
        Self {
            waits_for: record.waits_for(now).map(JobWait::from),
            id: record.id,
            kind: record.kind,
            version: record.version,
            queue: record.queue,
            priority: Priority::of_number(record.priority).into(),
            state: record.state,
            attempts: record.attempts,
            failures: record.failures,
            last_error: record.last_error,
            progress: record.done_count.map(|done| JobProgress { done, total: record.total_count }),
            payload: record.payload,
            serial_key: record.serial_key,
            unique_key: record.dedup_key,
            enqueued_by: record.principal,
            worker_id: record.worker_id,
            created_at: record.created_at,
            due_at: record.due_at,
            started_at: record.started_at,
            cancel_requested_at: record.cancel_asked_at,
            finished_at: record.finished_at,
        }
    }
}

/// A job has no version of its own: its revision is a digest of what is shown.
impl Representation for Job {
    const HOLDS_SIGNED_URLS: bool = false;

    fn revision(&self) -> Revision {
        let shown = serde_json::to_vec(self).unwrap_or_default();
        let digest = sha256(&shown).first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        Revision::new(self.id, digest & i64::MAX)
    }
}

/// Filters of the list of jobs.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobListFilter {
    /// Only jobs in this state.
    #[garde(skip)]
    #[param(inline)]
    state: Option<JobState>,
    /// Only jobs of this queue.
    #[garde(dive)]
    #[param(inline)]
    queue: Option<SingleLine<1, 40>>,
    /// Only jobs of this kind.
    #[garde(dive)]
    #[param(inline)]
    kind: Option<SingleLine<1, 90>>,
}

impl From<JobListFilter> for JobFilter {
    fn from(filter: JobListFilter) -> Self {
        Self {
            state: filter.state,
            queue: filter.queue.map(SingleLine::into_string),
            kind: filter.kind.map(SingleLine::into_string),
        }
    }
}

/// Name of a queue of durable jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples("mail"), max_length = 40, pattern = "^[a-z0-9_]+$")]
pub(crate) struct QueueName(pub(super) String);

/// A queue of durable jobs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobQueue {
    /// Name of the queue.
    #[schema(examples("mail"))]
    name: String,
    /// Number of jobs that are due and wait, counted up to 10,000.
    due: u64,
    /// Due time of the oldest of them; null if none waits.
    #[schema(required)]
    oldest_due_at: Option<Timestamp>,
    /// Number of jobs that run, in all processes.
    running: u64,
    /// Number of jobs that all processes together run at the same time; 0 if none serves this queue.
    #[schema(examples(4))]
    slots: u64,
    /// Time since which an operator has paused it; null if it is not paused.
    #[schema(required)]
    paused_at: Option<Timestamp>,
}

impl From<QueueRecord> for JobQueue {
    fn from(record: QueueRecord) -> Self {
        Self {
            name: record.queue.to_string(),
            due: record.due,
            oldest_due_at: record.oldest,
            running: record.running,
            slots: record.slots,
            paused_at: record.paused_at,
        }
    }
}

/// All queues.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobQueues {
    /// The queues, by name.
    items: Vec<JobQueue>,
    /// Always null: there are few.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<Vec<QueueRecord>> for JobQueues {
    fn from(records: Vec<QueueRecord>) -> Self {
        Self { items: records.into_iter().map(JobQueue::from).collect(), next_cursor: None }
    }
}

/// A schedule, which enqueues a job at certain times.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobSchedule {
    /// Name of the schedule.
    #[schema(examples("auth.purge_sessions"))]
    name: String,
    /// Its last time; null if it has enqueued nothing yet.
    #[schema(required)]
    last_at: Option<Timestamp>,
    /// Its next time. In the past, if no process has this schedule any more.
    next_at: Timestamp,
    /// The last job that it enqueued; null if it has enqueued none yet.
    #[schema(required)]
    last_job_id: Option<JobId>,
}

impl From<ScheduleRecord> for JobSchedule {
    fn from(record: ScheduleRecord) -> Self {
        Self {
            name: record.name,
            last_at: record.last_at,
            next_at: record.next_at,
            last_job_id: record.last_job_id,
        }
    }
}

/// All schedules.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobSchedules {
    /// The schedules, by name.
    items: Vec<JobSchedule>,
    /// Always null: there are few.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<Vec<ScheduleRecord>> for JobSchedules {
    fn from(records: Vec<ScheduleRecord>) -> Self {
        Self { items: records.into_iter().map(JobSchedule::from).collect(), next_cursor: None }
    }
}
