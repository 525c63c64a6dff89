//! A job, as operators see it.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::from_columns::FromColumns;
use shared_kernel::job::{JobId, JobState, Lane};
use shared_kernel::repository::Keyed;

use super::row::Claim;

/// A job, as operators see it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, FromColumns)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    /// Kind.
    pub kind: String,
    /// Version of the payload.
    pub version: i32,
    /// Payload, which names people and rows by id.
    pub payload: Json,
    /// Queue.
    pub queue: String,
    /// Priority: 0 is urgent, 1 normal, 2 low.
    pub priority: i16,
    /// State.
    pub state: JobState,
    /// Number of failures since the last committed step.
    pub failures: i32,
    /// Number of attempts.
    #[sea_orm(column_name = "claim")]
    pub attempts: i32,
    /// Error of the last failure, or the reason of its end.
    pub last_error: Option<String>,
    /// Key of which one job runs at a time.
    pub serial_key: Option<String>,
    /// Key of which one job waits.
    pub dedup_key: Option<String>,
    /// Number of items that are done.
    pub done_count: Option<i64>,
    /// Number of all items.
    pub total_count: Option<i64>,
    /// Principal that enqueued it.
    pub principal: Option<String>,
    /// Worker that runs it.
    pub worker_id: Option<String>,
    /// Time at which it was enqueued.
    pub created_at: Timestamp,
    /// Time from which it may run.
    pub due_at: Timestamp,
    /// Start of the last attempt.
    pub started_at: Option<Timestamp>,
    /// Its end.
    pub finished_at: Option<Timestamp>,
    /// Time at which it was told to stop, if it runs.
    pub cancel_asked_at: Option<Timestamp>,
    pub(super) lane: String,
}

impl ActiveModelBehavior for ActiveModel {}

impl Keyed for Entity {
    const ID: Column = Column::Id;
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The time at which it is due.
    Time,
    /// A worker with a free slot, in a queue that is not paused.
    Worker,
    /// The end of another job with its serial key.
    SerialKey,
    /// A worker that knows its kind in this version.
    Kind,
}

impl Model {
    /// What it waits for at that time; `None` if it does not wait.
    #[must_use]
    pub fn waits_for(&self, now: Timestamp) -> Option<WaitsFor> {
        if self.state != JobState::Waiting {
            return None;
        }
        Some(if self.is_in(&self.as_claim().odd()) {
            WaitsFor::Kind
        } else if self.is_behind() {
            WaitsFor::SerialKey
        } else if self.due_at > now {
            WaitsFor::Time
        } else {
            WaitsFor::Worker
        })
    }

    /// What identifies its last claim.
    pub(super) fn as_claim(&self) -> Claim {
        Claim {
            id: self.id.to_string(),
            kind: self.kind.clone(),
            version: self.version,
            queue: self.queue.clone(),
            priority: self.priority,
            number: self.attempts,
            failures: self.failures,
            serial_key: self.serial_key.clone(),
            dedup_key: self.dedup_key.clone(),
        }
    }

    /// Whether it stands in this lane.
    pub(super) fn is_in(&self, lane: &Lane) -> bool {
        self.lane == lane.to_string()
    }

    /// Whether it waits behind another job of its serial key.
    pub(super) fn is_behind(&self) -> bool {
        self.serial_key.as_ref().is_some_and(|key| self.is_in(&Lane::Behind(key.clone())))
    }
}
