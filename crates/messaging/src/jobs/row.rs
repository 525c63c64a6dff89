//! A claimed job, as it is read from the table, and who claims it.

use std::str::FromStr as _;

use sea_orm::{DbErr, FromQueryResult, QueryResult};
use serde_json::Value;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::Traceparent;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::job::{JobId, Lane, Priority, Queue};
use shared_kernel::job_handler::Payload;

/// The kind of [`WorkerId`].
#[derive(Debug)]
pub(super) enum WorkerKind {}

impl IdKind for WorkerKind {
    const PREFIX: &'static str = "wrk";
    const NAME: &'static str = "job_worker";
}

/// Id of a process that runs jobs.
pub(super) type WorkerId = Id<WorkerKind>;

/// What identifies one claim of a job, and what is needed to end it. Text that is not parsed: a row that cannot be read must not
/// block the others.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) version: i32,
    pub(super) queue: String,
    pub(super) priority: i16,
    /// Number of the claim: a later one invalidates it.
    #[sea_orm(from_alias = "claim")]
    pub(super) number: i32,
    pub(super) failures: i32,
    pub(super) serial_key: Option<String>,
    /// The unique key, which is empty while the job runs.
    pub(super) dedup_key: Option<String>,
}

impl Claim {
    pub(super) const COLUMNS: [&'static str; 9] =
        ["id", "kind", "version", "queue", "priority", "claim", "failures", "serial_key", "dedup_key"];

    /// The queue. A name that is not one came from another program; the job is treated as one of the default queue.
    fn queue(&self) -> Queue {
        Queue::from_str(&self.queue).unwrap_or(Queue::DEFAULT)
    }

    /// Where it may be claimed again, without regard to other jobs of its serial key.
    pub(super) fn ready(&self) -> Lane {
        Lane::Ready(self.queue(), Priority::of_number(self.priority))
    }

    /// Where it waits again without its turn.
    pub(super) fn waiting(&self) -> Lane {
        if self.serial_key.is_some() { Lane::Line } else { self.ready() }
    }

    /// Where it waits for a worker that knows it.
    pub(super) fn odd(&self) -> Lane {
        Lane::Odd { queue: self.queue(), kind: self.kind.clone(), version: self.version }
    }
}

/// A claimed job.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    /// When it was due.
    pub(super) lane_at: Timestamp,
    /// What its handler needs, or why that cannot be read.
    pub(super) content: Result<Content, DbErr>,
}

/// What the handler of a job needs.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) id: JobId,
    pub(super) payload: Payload,
    pub(super) cursor: Option<Value>,
    pub(super) principal: Option<String>,
    pub(super) traceparent: Option<Traceparent>,
    pub(super) created_at: Timestamp,
}

impl Content {
    pub(super) const COLUMNS: [&'static str; 5] =
        ["payload", "step_cursor", "principal", "traceparent", "created_at"];
}

impl FromQueryResult for Content {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let payload =
            Payload { version: row.try_get(prefix, "version")?, content: row.try_get(prefix, "payload")? };
        Ok(Self {
            id: row.try_get(prefix, "id")?,
            payload,
            cursor: row.try_get(prefix, "step_cursor")?,
            principal: row.try_get(prefix, "principal")?,
            traceparent: row.try_get(prefix, "traceparent")?,
            created_at: row.try_get(prefix, "created_at")?,
        })
    }
}

impl FromQueryResult for Claimed {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let claim = Claim::from_query_result(row, prefix)?;
        let lane_at = row.try_get(prefix, "lane_at")?;
        Ok(Self { claim, lane_at, content: Content::from_query_result(row, prefix) })
    }
}
