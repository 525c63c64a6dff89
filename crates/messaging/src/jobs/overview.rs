//! What operators see and do besides jobs: queues, workers and schedules.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use serde_json::Value as Json;
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{JobId, Lane, Priority, Queue};
use shared_kernel::session::{Reader as _, SessionError, WriteSession};

use super::admin::{JobAdmin, JobAdminError};
use super::store::Store;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its name.
    pub queue: Queue,
    /// Number of jobs that are due and wait, counted up to 10,000.
    pub due: u64,
    /// Due time of the first of them.
    pub oldest: Option<Timestamp>,
    /// Number of jobs that run, in all processes.
    pub running: u64,
    /// Number of jobs that all workers together run at the same time. 0: no worker serves it.
    pub slots: u64,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
}

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
    /// Its last heart-beat.
    pub beat_at: Timestamp,
    /// When another worker declared it dead.
    pub silent_since: Option<Timestamp>,
}

/// A schedule, from its first time on.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ScheduleRecord {
    /// Its name.
    pub name: String,
    /// Its last time, or when it was seen first. One that no build has any more has a next time in the past.
    #[sea_orm(from_alias = "last_tick")]
    pub last_at: Timestamp,
    /// Its next time.
    #[sea_orm(from_alias = "next_tick")]
    pub next_at: Timestamp,
    /// The last job that it enqueued.
    pub last_job_id: Option<JobId>,
}

/// The largest number of jobs of a priority that are counted.
const COUNTED: u64 = 10_000;

/// Number of queues that one look finds, besides those of known kinds.
const MOST_QUEUES: usize = 100;

/// Number of rows of workers that are read.
const MOST_WORKERS: u64 = 1_000;

#[derive(FromQueryResult)]
struct Counted {
    number: i64,
}

#[derive(FromQueryResult)]
struct OfQueue {
    queue: String,
    number: i64,
}

#[derive(FromQueryResult)]
struct PausedRow {
    name: String,
    paused_at: Option<Timestamp>,
}

/// What is known of queues besides their jobs.
struct Known {
    /// Number of jobs of each that all living workers together run at the same time.
    slots: BTreeMap<String, u64>,
    /// Number of jobs of each that run.
    running: BTreeMap<String, u64>,
    /// Those that a worker ever served, or that are paused, and since when.
    paused: BTreeMap<String, Option<Timestamp>>,
}

impl Known {
    fn record(&self, queue: Queue, (due, oldest): (u64, Option<Timestamp>)) -> QueueRecord {
        let of_queue =
            |numbers: &BTreeMap<String, u64>| numbers.get(queue.as_str()).copied().unwrap_or_default();
        QueueRecord {
            due,
            oldest,
            running: of_queue(&self.running),
            slots: of_queue(&self.slots),
            paused_at: self.paused.get(queue.as_str()).copied().flatten(),
            queue,
        }
    }

    /// Those that matter now.
    fn in_use(&self) -> impl Iterator<Item = Queue> {
        let paused = self.paused.iter().filter(|(_, paused_at)| paused_at.is_some()).map(|(name, _)| name);
        self.slots.keys().chain(self.running.keys()).chain(paused).filter_map(|name| name.parse().ok())
    }
}

impl JobAdmin {
    /// The queues: those of the kinds that this process knows, those that workers serve, those in which jobs wait, and those that are
    /// paused.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn queues(&self) -> Result<Vec<QueueRecord>, SessionError> {
        let known = self.known_queues().await?;
        let mut queues: BTreeSet<Queue> = self.known.iter().cloned().chain(known.in_use()).collect();
        queues.extend(self.store.queues_in_use().await?);
        let mut records = Vec::with_capacity(queues.len());
        for queue in queues {
            let depth = self.depth(&queue).await?;
            records.push(known.record(queue, depth));
        }
        Ok(records)
    }

    /// A queue: one of [all](Self::queues), or one that a worker served before.
    ///
    /// # Errors
    ///
    /// There is no such queue; errors of the database.
    pub async fn queue(&self, name: &str) -> Result<QueueRecord, JobAdminError> {
        let mut queues = self.queues().await?;
        if let Some(at) = queues.iter().position(|record| record.queue.as_str() == name) {
            return Ok(queues.swap_remove(at));
        }
        let (known, queue) = (self.known_queues().await?, name.parse::<Queue>());
        match queue {
            Ok(queue) if known.paused.contains_key(name) => Ok(known.record(queue, (0, None))),
            _ => {
                let now = queues.iter().map(|record| record.queue.as_str());
                let all: BTreeSet<&str> = known.paused.keys().map(String::as_str).chain(now).collect();
                let known = all.into_iter().collect::<Vec<_>>().join(", ");
                Err(JobAdminError::NoQueue {
                    known: if known.is_empty() { "none".to_owned() } else { known },
                })
            }
        }
    }

    /// Pauses a queue: its jobs wait until it is resumed, and those that run go on. Workers notice it with their next heart-beat, within
    /// five seconds.
    ///
    /// # Errors
    ///
    /// There is no such queue; errors of the database.
    pub async fn pause(&self, session: &WriteSession, name: &str) -> Result<QueueRecord, JobAdminError> {
        let mut record = self.queue(name).await?;
        if record.paused_at.is_none() {
            let mut insert = Query::insert();
            insert.into_table("job_queues").columns(["name", "paused_at"]);
            insert.values_panic([name.into(), session.now().into()]);
            insert.on_conflict(OnConflict::column("name").update_column("paused_at").to_owned());
            session.execute(&insert).await.map_err(SessionError::from)?;
            record.paused_at = Some(session.now());
        }
        Ok(record)
    }

    /// Resumes a queue. One that is not paused stays as it is.
    ///
    /// # Errors
    ///
    /// There is no such queue; errors of the database.
    pub async fn resume(&self, session: &WriteSession, name: &str) -> Result<QueueRecord, JobAdminError> {
        let record = self.queue(name).await?;
        let resume = Query::update()
            .table("job_queues")
            .value("paused_at", Expr::val(Value::TimeDateTimeWithTimeZone(None)))
            .and_where(Expr::col("name").eq(name))
            .to_owned();
        session.execute(&resume).await.map_err(SessionError::from)?;
        Ok(QueueRecord { paused_at: None, ..record })
    }

    async fn known_queues(&self) -> Result<Known, SessionError> {
        let paused = self.store.noted_queues().await?;
        Ok(Known { slots: self.slots().await?, running: self.running().await?, paused })
    }

    /// The processes that run jobs, the oldest first.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, SessionError> {
        let select = Query::select()
            .columns(["id", "host", "queues", "started_at", "beat_at", "silent_since"])
            .from("job_workers")
            .order_by("id", Order::Asc)
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
            .columns(["name", "last_tick", "next_tick", "last_job_id"])
            .from("job_schedules")
            .order_by("name", Order::Asc)
            .to_owned();
        self.store.read().rows(&select).await
    }

    /// Number of jobs of each queue that all living workers together run at the same time.
    async fn slots(&self) -> Result<BTreeMap<String, u64>, SessionError> {
        let mut slots: BTreeMap<String, u64> = BTreeMap::new();
        for worker in self.workers().await?.iter().filter(|worker| worker.silent_since.is_none()) {
            for (queue, number) in worker.queues.as_object().into_iter().flatten() {
                *slots.entry(queue.clone()).or_default() += number.as_u64().unwrap_or_default();
            }
        }
        Ok(slots)
    }

    /// Number of jobs of each queue that run: no more than there are slots.
    async fn running(&self) -> Result<BTreeMap<String, u64>, SessionError> {
        let count = Query::select()
            .column("queue")
            .expr_as(Expr::cust("COUNT(*)"), "number")
            .from("jobs")
            .and_where(Expr::col("lane").eq(Lane::Running.to_string()))
            .group_by_col("queue")
            .to_owned();
        let rows = self.store.read().rows::<OfQueue>(&count).await?;
        Ok(rows.into_iter().map(|row| (row.queue, number(row.number))).collect())
    }

    /// Number of jobs of a queue that are due, and the due time of the first.
    async fn depth(&self, queue: &Queue) -> Result<(u64, Option<Timestamp>), SessionError> {
        let lanes: Vec<Lane> =
            Priority::ALL.into_iter().map(|priority| Lane::Ready(queue.clone(), priority)).collect();
        let mut due = 0;
        for lane in &lanes {
            due += self.due(lane).await?;
        }
        let floors: Vec<_> = lanes.into_iter().map(|lane| (lane, None)).collect();
        let now = self.store.now();
        let first = self.store.peek(&floors).await?.into_iter().filter_map(|due| due.at).min();
        Ok((Ord::min(due, COUNTED), first.filter(|first| *first <= now)))
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
        Ok(counted.map_or(0, |counted| number(counted.number)))
    }
}

/// A number that was counted.
fn number(counted: i64) -> u64 {
    u64::try_from(counted).unwrap_or_default()
}

impl Store {
    /// Queues in which a job waits that a worker may claim, with one look into the index for each.
    async fn queues_in_use(&self) -> Result<Vec<Queue>, SessionError> {
        let (mut queues, mut after) = (Vec::new(), String::new());
        while queues.len() < MOST_QUEUES {
            let Some(lane) = self.next_lane(&after, None).await? else { break };
            // Past all lanes of the queue, or of that sort: `/` follows `.`, and `;` follows `:`.
            after = match (lane.parse(), lane.split_once(':')) {
                (Ok(Lane::Ready(queue, _)), _) => {
                    let past = format!("{queue}/");
                    queues.push(queue);
                    past
                }
                (_, Some((sort, _))) => format!("{sort};"),
                (_, None) => lane,
            };
        }
        Ok(queues)
    }

    /// Queues that a worker ever served, or that are paused, and since when.
    async fn noted_queues(&self) -> Result<BTreeMap<String, Option<Timestamp>>, SessionError> {
        let select = Query::select().columns(["name", "paused_at"]).from("job_queues").to_owned();
        let rows = self.read().rows::<PausedRow>(&select).await?;
        Ok(rows.into_iter().map(|row| (row.name, row.paused_at)).collect())
    }
}
