//! Jobs on their way into the table.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, Func, InsertStatement, OnConflict, Query};

use super::lane::Lane;
use super::queue::{Priority, Queue};
use super::signal::Wake;
use super::{Job, JobId};
use crate::clock::Timestamp;
use crate::event::Origin;

/// When and before which others a job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// Time from the session's instant until it is due.
    pub delay: Duration,
    /// Instead of [`Job::PRIORITY`].
    pub priority: Option<Priority>,
}

/// Length of the longest name of a kind, in bytes.
///
/// The principal of what a job enqueues is `system:` and the kind, in 100 characters.
const LONGEST_KIND: usize = 90;

/// Length of the longest key, in bytes. That of a unique key includes the kind.
const LONGEST_SERIAL_KEY: usize = 100;
const LONGEST_UNIQUE_KEY: usize = 240;

/// Length of the longest payload as JSON, in bytes.
const LONGEST_PAYLOAD: usize = 64 * 1024;

/// The longest delay: ten years.
const LONGEST_DELAY: Duration = Duration::from_hours(24 * 3_650);

/// The job cannot be stored, which is a bug.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJob {
    /// The name of the kind.
    #[error(
        "{0:?} is not the name of a kind of job: 1 to {LONGEST_KIND} characters of a to z, digits, _ and ."
    )]
    Kind(&'static str),
    /// A key.
    #[error(
        "a key of a {0} is empty or too long: a serial key has {LONGEST_SERIAL_KEY} bytes at most, and a unique key {LONGEST_UNIQUE_KEY} with the kind"
    )]
    Key(&'static str),
    /// The size of the payload.
    #[error("the payload of a {kind} has {bytes} bytes, and {LONGEST_PAYLOAD} are allowed: name rows by id")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// The size.
        bytes: usize,
    },
    /// The payload has the character NUL, which PostgreSQL cannot store.
    #[error("the payload of a {0} has the character NUL")]
    Nul(&'static str),
    /// The payload is an array.
    #[error("the payload of a {0} is an array: name its fields, so that later versions can add some")]
    Array(&'static str),
    /// The payload is no JSON.
    #[error("the payload of a {kind} cannot be serialized")]
    Json {
        /// The kind.
        kind: &'static str,
        /// The error of the serializer.
        #[source]
        error: serde_json::Error,
    },
}

/// A job that is ready for the table, whatever type it had.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingJob {
    id: JobId,
    kind: &'static str,
    version: i32,
    payload: serde_json::Value,
    queue: Queue,
    priority: Priority,
    serial_key: Option<String>,
    unique_key: Option<String>,
    due_at: Timestamp,
}

impl PendingJob {
    /// Converts `job`, enqueued at `now`.
    ///
    /// # Errors
    ///
    /// It cannot be stored.
    pub fn of<J: Job>(job: &J, options: JobOptions, now: Timestamp) -> Result<Self, InvalidJob> {
        check_kind(J::KIND)?;
        let kind = J::KIND;
        let payload = serde_json::to_value(job).map_err(|error| InvalidJob::Json { kind, error })?;
        if payload.is_array() {
            return Err(InvalidJob::Array(kind));
        }
        let bytes = payload.to_string().len();
        if bytes > LONGEST_PAYLOAD {
            return Err(InvalidJob::Payload { kind, bytes });
        }
        // PostgreSQL's jsonb cannot store it.
        if has_nul(&payload) {
            return Err(InvalidJob::Nul(kind));
        }
        // Without the kind, two kinds with the same key would overwrite each other's payload.
        let unique_key = job.unique_key().map(|key| format!("{kind}:{key}"));
        let serial_key = job.serial_key();
        let fits = |key: &Option<String>, longest| {
            key.as_ref().is_none_or(|key| !key.is_empty() && key.len() <= longest && !key.contains('\0'))
        };
        if !fits(&serial_key, LONGEST_SERIAL_KEY) || !fits(&unique_key, LONGEST_UNIQUE_KEY) {
            return Err(InvalidJob::Key(kind));
        }
        Ok(Self {
            id: JobId::new(now),
            kind,
            version: J::VERSION,
            payload,
            queue: J::QUEUE,
            priority: options.priority.unwrap_or(J::PRIORITY),
            serial_key,
            unique_key,
            due_at: now + options.delay.min(LONGEST_DELAY),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// What the workers are told about it. One with a unique key may be merged into one of another priority.
    pub(crate) fn wakes(&self) -> Vec<Wake> {
        let lanes = match self.lane() {
            Lane::Ready(queue, _) if self.unique_key.is_some() => {
                Priority::ALL.map(|priority| Lane::Ready(queue.clone(), priority)).into()
            }
            lane => vec![lane],
        };
        lanes.into_iter().map(|lane| Wake::new(lane, self.due_at)).collect()
    }

    fn lane(&self) -> Lane {
        match self.serial_key {
            Some(_) => Lane::Line,
            None => Lane::Ready(self.queue.clone(), self.priority),
        }
    }
}

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        _ => false,
    }
}

/// Checks the name of a kind.
pub(crate) fn check_kind(kind: &'static str) -> Result<(), InvalidJob> {
    let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
    let is_name = (1..=LONGEST_KIND).contains(&kind.len()) && kind.bytes().all(is_letter);
    if is_name { Ok(()) } else { Err(InvalidJob::Kind(kind)) }
}

/// The jobs in the order of their unique keys, which prevents deadlocks between sessions. Of several with the same key the last one
/// remains, with the earliest of their times. They are a microsecond apart, so that a worker can tell by the time how far it has read;
/// the last one has the time that was asked for, so that none is due later than that.
pub(crate) fn in_order(jobs: Vec<PendingJob>) -> Vec<PendingJob> {
    let mut keyed: BTreeMap<String, PendingJob> = BTreeMap::new();
    let mut others = Vec::with_capacity(jobs.len());
    let behind = (0..jobs.len()).rev();
    for (mut job, behind) in jobs.into_iter().zip(behind) {
        job.due_at = job.due_at - Duration::from_micros(u64::try_from(behind).unwrap_or_default());
        match job.unique_key.clone() {
            None => others.push(job),
            Some(key) => {
                if let Some(earlier) = keyed.get(&key) {
                    job.due_at = job.due_at.min(earlier.due_at);
                }
                keyed.insert(key, job);
            }
        }
    }
    others.extend(keyed.into_values());
    others
}

const COLUMNS: [&str; 16] = [
    "id",
    "kind",
    "version",
    "payload",
    "queue",
    "priority",
    "serial_key",
    "dedup_key",
    "unique_key",
    "state",
    "lane",
    "lane_at",
    "principal",
    "traceparent",
    "created_at",
    "due_at",
];

/// The statement that adds these jobs. Everything else in a row has its default.
pub(crate) fn insert(
    jobs: impl IntoIterator<Item = PendingJob>,
    origin: &Origin,
    now: Timestamp,
    backend: DbBackend,
) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table("jobs").columns(COLUMNS);
    let mut is_unique = false;
    for job in jobs {
        is_unique |= job.unique_key.is_some();
        insert.values_panic(values(job, origin, now));
    }
    if is_unique {
        insert.on_conflict(update_the_waiting(backend));
    }
    insert
}

/// In the order of [`COLUMNS`].
fn values(job: PendingJob, origin: &Origin, now: Timestamp) -> [Expr; 16] {
    let lane = job.lane();
    [
        job.id.into(),
        job.kind.into(),
        job.version.into(),
        job.payload.into(),
        job.queue.as_str().into(),
        job.priority.number().into(),
        job.serial_key.into(),
        job.unique_key.clone().into(),
        job.unique_key.into(),
        lane.state().into(),
        lane.to_string().into(),
        job.due_at.into(),
        origin.principal.clone().into(),
        origin.traceparent.clone().into(),
        now.into(),
        job.due_at.into(),
    ]
}

/// The new value of a column of a job that no worker knew, and else the old one.
fn unless_odd(column: &str) -> Expr {
    Expr::cust(format!("CASE WHEN jobs.lane LIKE 'odd:%' THEN excluded.{column} ELSE jobs.{column} END"))
}

/// The job that waits gets the new payload and the earlier time, and begins anew. It keeps its place, unless it waits there because of its
/// old version.
fn update_the_waiting(backend: DbBackend) -> OnConflict {
    let earlier = |column: &str| {
        let least = if backend == DbBackend::Postgres { "LEAST" } else { "MIN" };
        Func::cust(least)
            .arg(Expr::col(("jobs", column.to_owned())))
            .arg(Expr::col(("excluded", column.to_owned())))
    };
    OnConflict::column("unique_key")
        .update_columns(["payload", "version", "principal", "traceparent"])
        // From the first step on, which has not seen the new payload.
        .value("failures", 0)
        .value("step", 0)
        .values(
            ["step_cursor", "done_count", "total_count", "cancel_asked_at"]
                .map(|column| (column, Expr::cust("NULL"))),
        )
        .value("lane_at", earlier("lane_at"))
        .value("due_at", earlier("due_at"))
        .values(["lane", "queue", "priority"].map(|column| (column, unless_odd(column))))
        .to_owned()
}
