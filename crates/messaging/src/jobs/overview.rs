//! Workers and schedules, for operators.

use std::time::Duration;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, Order, Query};
use serde_json::Value as Json;
use shared_kernel::clock::Timestamp;
use shared_kernel::job::JobId;
use shared_kernel::session::{Reader as _, SessionError};

use super::admin::JobAdmin;

/// A process that runs jobs.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct WorkerRecord {
    /// Id.
    pub id: String,
    /// Name of its machine.
    pub host: String,
    /// Number of jobs of each queue that it runs at the same time.
    pub queues: Json,
    /// Its start.
    pub started_at: Timestamp,
    /// Its last heart-beat, by its own clock.
    pub beat_at: Timestamp,
    /// When another worker declared it dead.
    pub silent_since: Option<Timestamp>,
}

/// Time without a heart-beat after which a worker is not shown as one that runs jobs. When there is no other one, nobody declares it dead.
/// It is longer than the time after which others do, because clocks differ.
const SEEMS_DEAD_AFTER: Duration = Duration::from_mins(1);

impl WorkerRecord {
    /// Whether it seems to run jobs.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.silent_since.is_none() && now.since(self.beat_at) < SEEMS_DEAD_AFTER
    }
}

/// A schedule, from its first time on.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ScheduleRecord {
    /// Its name.
    pub name: String,
    /// Its last time; `None` if it has enqueued nothing yet.
    pub last_at: Option<Timestamp>,
    /// Its next time. One that no build has any more has it in the past.
    #[sea_orm(from_alias = "next_tick")]
    pub next_at: Timestamp,
    /// The last job that it enqueued.
    pub last_job_id: Option<JobId>,
}

/// Number of rows of workers that are read.
const MOST_WORKERS: u64 = 1_000;

impl JobAdmin {
    /// The processes that run jobs, the newest first.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, SessionError> {
        let select = Query::select()
            .columns(["id", "host", "queues", "started_at", "beat_at", "silent_since"])
            .from("job_workers")
            .order_by("id", Order::Desc)
            .limit(MOST_WORKERS)
            .to_owned();
        self.store.read().rows(&select).await
    }

    /// The schedules, by name.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, SessionError> {
        let select = Query::select()
            .columns(["name", "next_tick", "last_job_id"])
            .expr_as(Expr::cust("CASE WHEN last_job_id IS NOT NULL THEN last_tick END"), "last_at")
            .from("job_schedules")
            .order_by("name", Order::Asc)
            .to_owned();
        self.store.read().rows(&select).await
    }
}
