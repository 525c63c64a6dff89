//! What operators see of jobs, and what they may do with them.

use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{JobId, Lane, Priority, Queue, Wake};
use shared_kernel::session::{Databases, Reader as _, SessionError};

use super::notify::tell;
use super::row::Claim;
use super::store::{Store, vacate};

/// The jobs of an installation, for its operators.
#[derive(Clone)]
pub struct JobAdmin {
    store: Store,
}

/// A job, as operators see it.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct JobRecord {
    /// Id.
    pub id: String,
    /// Kind.
    pub kind: String,
    /// Version of the payload.
    pub version: i32,
    /// Payload, which names people and rows by id.
    pub payload: serde_json::Value,
    /// Queue.
    pub queue: String,
    /// Priority: 0 is urgent, 1 normal, 2 low.
    pub priority: i16,
    /// `waiting`, `running`, `done`, `dead`, `cancelled` or `superseded`.
    pub state: String,
    /// Number of failures since the last committed step.
    pub failures: i32,
    /// Number of attempts.
    pub claim: i32,
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
    lane: String,
}

impl JobRecord {
    const COLUMNS: [&'static str; 21] = [
        "id",
        "kind",
        "version",
        "payload",
        "queue",
        "priority",
        "state",
        "failures",
        "claim",
        "last_error",
        "serial_key",
        "dedup_key",
        "done_count",
        "total_count",
        "principal",
        "worker_id",
        "created_at",
        "due_at",
        "started_at",
        "finished_at",
        "lane",
    ];

    /// What identifies its last claim.
    fn as_claim(&self) -> Claim {
        Claim {
            id: self.id.clone(),
            kind: self.kind.clone(),
            version: self.version,
            queue: self.queue.clone(),
            priority: self.priority,
            number: self.claim,
            failures: self.failures,
            serial_key: self.serial_key.clone(),
            dedup_key: self.dedup_key.clone(),
        }
    }
}

/// Which jobs are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFilter {
    /// All, the newest first.
    All,
    /// Those that run.
    Running,
    /// Those that wait in a queue, in the order in which they run.
    Waiting(Queue),
    /// Those that succeeded, the last first.
    Done,
    /// Those that failed too often, the last first.
    Dead,
    /// Those that were cancelled, the last first.
    Cancelled,
}

/// The number of jobs that wait in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: Queue,
    /// Number of jobs that are due, counted up to 10,000.
    pub due: u64,
    /// Due time of the first of them.
    pub oldest: Option<Timestamp>,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// The largest number of jobs that are counted.
const COUNTED: u64 = 10_000;

/// An operation that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum JobAdminError {
    /// There is no such job, or it was deleted because it ended long ago.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// Its state does not allow it, or has just changed.
    #[error("the job {id} is {state}: {why}")]
    State {
        /// The job.
        id: JobId,
        /// Its state.
        state: String,
        /// What is possible.
        why: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

#[derive(FromQueryResult)]
struct Counted {
    number: i64,
}

impl JobAdmin {
    /// The jobs of `databases`.
    #[must_use]
    pub fn new(databases: Databases) -> Self {
        Self { store: Store { databases } }
    }

    /// Up to `limit` jobs.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn list(&self, filter: &JobFilter, limit: u64) -> Result<Vec<JobRecord>, SessionError> {
        let lanes = match filter {
            JobFilter::All => {
                let all = records().order_by("id", Order::Desc).limit(limit).to_owned();
                return self.store.read().rows(&all).await;
            }
            JobFilter::Waiting(queue) => ready(queue).collect(),
            JobFilter::Running => vec![Lane::Running],
            JobFilter::Done => vec![Lane::Done],
            JobFilter::Dead => vec![Lane::Dead],
            JobFilter::Cancelled => vec![Lane::Cancelled],
        };
        let order = if lanes.iter().all(Lane::is_end) { Order::Desc } else { Order::Asc };
        let mut found = Vec::new();
        // One statement for each lane, which reads no more than it returns.
        for lane in lanes {
            let left = limit.saturating_sub(u64::try_from(found.len()).unwrap_or(limit));
            let some = records()
                .and_where(Expr::col("lane").eq(lane.to_string()))
                .order_by("lane_at", order.clone())
                .order_by("id", order.clone())
                .limit(left)
                .to_owned();
            found.extend(self.store.read().rows::<JobRecord>(&some).await?);
        }
        Ok(found)
    }

    /// A job.
    ///
    /// # Errors
    ///
    /// It is not there; errors of the database.
    pub async fn get(&self, id: JobId) -> Result<JobRecord, JobAdminError> {
        let one = records().and_where(Expr::col("id").eq(id)).to_owned();
        let found = self.store.read().rows(&one).await?.pop();
        found.ok_or(JobAdminError::NotFound(id))
    }

    /// Makes a job due now that is dead, cancelled or superseded, or that waits for its time. Its failures are forgotten.
    ///
    /// # Errors
    ///
    /// It runs or has succeeded, or another job with its unique key waits; errors of the database.
    pub async fn retry(&self, id: JobId) -> Result<(), JobAdminError> {
        let record = self.get(id).await?;
        let refused = |why| JobAdminError::State { id, state: record.state.clone(), why };
        let claim = record.as_claim();
        let has_ended = match record.state.as_str() {
            "dead" | "cancelled" | "superseded" => true,
            "waiting" if !record.lane.starts_with("key:") => false,
            "waiting" => return Err(refused("it waits behind another job of its serial key")),
            _ => return Err(refused("only jobs that wait, or ended without success, can be tried again")),
        };
        let session = self.store.write();
        let mut update = Query::update();
        update
            .table("jobs")
            .value("lane_at", session.now())
            .value("due_at", session.now())
            .value("failures", 0);
        let mut lane = claim.waiting();
        if has_ended {
            update
                .value("state", lane.state())
                .value("lane", lane.to_string())
                .value("unique_key", claim.dedup_key.clone())
                .value("finished_at", Expr::val(Value::TimeDateTimeWithTimeZone(None)));
        } else if record.lane != Lane::Line.to_string() {
            // It has its turn. One that nobody knew is tried by the workers of now.
            lane = claim.ready();
            update.value("lane", lane.to_string());
        }
        update
            .and_where(Expr::col("id").eq(id))
            .and_where(Expr::col("claim").eq(claim.number))
            .and_where(Expr::col("lane").eq(record.lane.as_str()));
        let changed = session.execute(&update).await.map_err(SessionError::from);
        match changed {
            Err(error) if error.violated_unique().is_some() => {
                return Err(refused("another job with its unique key waits"));
            }
            Err(error) => return Err(error.into()),
            Ok(changed) if changed.rows_affected() == 0 => return Err(refused("it has just changed")),
            Ok(_) => {}
        }
        let now = session.now();
        session.commit(()).await?.into_value();
        tell(&self.store.databases, Wake::new(lane, now)).await?;
        Ok(())
    }

    /// Cancels a job. One that runs is told to stop, and may still succeed.
    ///
    /// # Errors
    ///
    /// It has ended; errors of the database.
    pub async fn cancel(&self, id: JobId) -> Result<(), JobAdminError> {
        let record = self.get(id).await?;
        let refused = |why| JobAdminError::State { id, state: record.state.clone(), why };
        let session = self.store.write();
        let mut update = Query::update();
        update.table("jobs");
        match record.state.as_str() {
            "running" => update.value("cancel_asked_at", session.now()),
            "waiting" => update
                .value("state", Lane::Cancelled.state())
                .value("lane", Lane::Cancelled.to_string())
                .value("lane_at", session.now())
                .value("finished_at", session.now())
                .value("unique_key", Expr::val(Value::String(None)))
                .value("last_error", "cancelled by an operator"),
            _ => return Err(refused("it has ended")),
        };
        update
            .and_where(Expr::col("id").eq(id))
            .and_where(Expr::col("claim").eq(record.claim))
            .and_where(Expr::col("lane").eq(record.lane.as_str()));
        if session.execute(&update).await.map_err(SessionError::from)?.rows_affected() == 0 {
            return Err(refused("it has just changed"));
        }
        let claim = record.as_claim();
        if record.state == "waiting" {
            vacate(&session, &claim, session.now()).await?;
        }
        session.commit(()).await?.into_value();
        self.store.wake_next(&claim);
        Ok(())
    }

    /// Pauses a queue: its jobs wait until it is resumed, and those that run go on. Workers notice it with their next heart-beat, within
    /// five seconds.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn pause(&self, queue: &Queue) -> Result<(), SessionError> {
        let session = self.store.databases.write();
        let mut insert = Query::insert();
        insert.into_table("job_queues").columns(["name", "paused_at"]);
        insert.values_panic([queue.as_str().into(), session.now().into()]);
        let keep = sea_orm::sea_query::OnConflict::column("name").update_column("paused_at").to_owned();
        session.execute(insert.on_conflict(keep)).await?;
        session.commit(()).await?.into_value();
        Ok(())
    }

    /// Resumes a queue.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn resume(&self, queue: &Queue) -> Result<(), SessionError> {
        let session = self.store.databases.write();
        let delete = Query::delete()
            .from_table("job_queues")
            .and_where(Expr::col("name").eq(queue.as_str()))
            .to_owned();
        session.execute(&delete).await?;
        session.commit(()).await?.into_value();
        Ok(())
    }

    /// How many jobs wait in these queues.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn depths(&self, queues: &[Queue]) -> Result<Vec<QueueDepth>, SessionError> {
        let paused = self.store.paused().await?;
        let mut depths = Vec::with_capacity(queues.len());
        for queue in queues {
            let lanes: Vec<_> = ready(queue).collect();
            let mut due = 0;
            for lane in &lanes {
                due += self.due(lane).await?;
            }
            let floors: Vec<_> = lanes.into_iter().map(|lane| (lane, None)).collect();
            let now = self.store.now();
            let first = self.store.peek(&floors).await?.into_iter().filter_map(|due| due.at).min();
            depths.push(QueueDepth {
                queue: queue.clone(),
                due: Ord::min(due, COUNTED),
                oldest: first.filter(|first| *first <= now),
                is_paused: paused.iter().any(|name| name == queue.as_str()),
            });
        }
        Ok(depths)
    }

    /// Number of jobs of a lane that are due.
    async fn due(&self, lane: &Lane) -> Result<u64, SessionError> {
        let some = Query::select()
            .expr(Expr::val(1))
            .from("jobs")
            .and_where(Expr::col("lane").eq(lane.to_string()))
            .and_where(Expr::col("lane_at").lte(self.store.now()))
            .limit(COUNTED)
            .to_owned();
        let count =
            Query::select().expr_as(Expr::cust("COUNT(*)"), "number").from_subquery(some, "due").to_owned();
        let counted = self.store.read().rows::<Counted>(&count).await?.pop();
        Ok(counted.map_or(0, |counted| u64::try_from(counted.number).unwrap_or_default()))
    }
}

fn records() -> SelectStatement {
    Query::select().columns(JobRecord::COLUMNS).from("jobs").to_owned()
}

fn ready(queue: &Queue) -> impl Iterator<Item = Lane> {
    Priority::ALL.into_iter().map(|priority| Lane::Ready(queue.clone(), priority))
}
