//! Queues, for operators: how many jobs wait in each, and whether it is paused.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{Lane, Priority, Queue};
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

/// The largest number of jobs of a queue that are counted.
const COUNTED: u64 = 10_000;

/// Number of queues that one look finds, besides those of known kinds.
const MOST_QUEUES: usize = 100;

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
struct QueueRow {
    name: String,
    paused_at: Option<Timestamp>,
}

/// Queues, by what is known of them.
struct Known {
    /// Number of jobs of each that all living workers together run at the same time.
    slots: BTreeMap<String, u64>,
    /// Number of jobs of each that run.
    running: BTreeMap<String, u64>,
    /// Those that a worker ever served, or that were paused: since when they are paused.
    noted: BTreeMap<String, Option<Timestamp>>,
    /// Those in which a job waits, and those of the kinds that this process knows.
    others: BTreeSet<Queue>,
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
            paused_at: self.noted.get(queue.as_str()).copied().flatten(),
            queue,
        }
    }

    /// Those that matter now.
    fn in_use(&self) -> BTreeSet<Queue> {
        let paused = self.noted.iter().filter(|(_, paused_at)| paused_at.is_some()).map(|(name, _)| name);
        let names = self.slots.keys().chain(self.running.keys()).chain(paused);
        names.filter_map(|name| name.parse().ok()).chain(self.others.iter().cloned()).collect()
    }

    /// The queue of that name, if there is or was one.
    fn find(&self, name: &str) -> Result<Queue, JobAdminError> {
        let before = self.noted.keys().filter_map(|name| name.parse().ok());
        let all: BTreeSet<Queue> = self.in_use().into_iter().chain(before).collect();
        if let Some(queue) = all.iter().find(|queue| queue.as_str() == name) {
            return Ok(queue.clone());
        }
        let known = all.iter().map(Queue::as_str).collect::<Vec<_>>().join(", ");
        Err(JobAdminError::NoQueue { known: if known.is_empty() { "none".to_owned() } else { known } })
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
        let queues = known.in_use();
        let mut records = Vec::with_capacity(queues.len());
        for queue in queues {
            let depth = self.depth(&queue).await?;
            records.push(known.record(queue, depth));
        }
        Ok(records)
    }

    /// Pauses a queue: its jobs wait until it is resumed, and those that run go on. Workers notice it with their next heart-beat, within
    /// five seconds. One that is paused stays so, since the same time.
    ///
    /// # Errors
    ///
    /// No worker has ever served such a queue, and no job waits in one; errors of the database.
    pub async fn pause(&self, session: &WriteSession, name: &str) -> Result<QueueRecord, JobAdminError> {
        let record = self.queue(name).await?;
        let mut insert = Query::insert();
        insert.into_table("job_queues").columns(["name", "paused_at"]);
        insert.values_panic([name.into(), session.now().into()]);
        let first = Expr::cust("COALESCE(job_queues.paused_at, excluded.paused_at)");
        insert.on_conflict(OnConflict::column("name").value("paused_at", first).to_owned());
        session.execute(&insert).await.map_err(SessionError::from)?;
        let select = Query::select()
            .columns(["name", "paused_at"])
            .from("job_queues")
            .and_where(Expr::col("name").eq(name))
            .to_owned();
        let row = session.rows::<QueueRow>(&select).await?.pop();
        Ok(QueueRecord { paused_at: row.and_then(|row| row.paused_at), ..record })
    }

    /// Resumes a queue. One that is not paused stays as it is.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
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

    async fn queue(&self, name: &str) -> Result<QueueRecord, JobAdminError> {
        let known = self.known_queues().await?;
        let queue = known.find(name)?;
        let depth = self.depth(&queue).await?;
        Ok(known.record(queue, depth))
    }

    async fn known_queues(&self) -> Result<Known, SessionError> {
        let mut others = self.store.queues_in_use().await?;
        others.extend(self.known.iter().cloned());
        Ok(Known {
            slots: self.slots().await?,
            running: self.store.running_by_queue().await?,
            noted: self.store.noted_queues().await?,
            others,
        })
    }

    /// Number of jobs of each queue that all living workers together run at the same time.
    async fn slots(&self) -> Result<BTreeMap<String, u64>, SessionError> {
        let now = self.store.now();
        let mut slots: BTreeMap<String, u64> = BTreeMap::new();
        for worker in self.workers().await?.iter().filter(|worker| worker.is_alive(now)) {
            for (queue, number) in worker.queues.as_object().into_iter().flatten() {
                *slots.entry(queue.clone()).or_default() += number.as_u64().unwrap_or_default();
            }
        }
        Ok(slots)
    }

    /// Number of jobs of a queue that are due, and the due time of the first.
    async fn depth(&self, queue: &Queue) -> Result<(u64, Option<Timestamp>), SessionError> {
        let lanes: Vec<Lane> =
            Priority::ALL.into_iter().map(|priority| Lane::Ready(queue.clone(), priority)).collect();
        let mut due = 0;
        for lane in &lanes {
            due += self.store.due(lane).await?;
        }
        let floors: Vec<_> = lanes.into_iter().map(|lane| (lane, None)).collect();
        let now = self.store.now();
        let first = self.store.peek(&floors).await?.into_iter().filter_map(|due| due.at).min();
        Ok((Ord::min(due, COUNTED), first.filter(|first| *first <= now)))
    }
}

impl Store {
    /// Number of jobs of a lane that are due.
    async fn due(&self, lane: &Lane) -> Result<u64, SessionError> {
        let some = Query::select()
            .expr(Expr::val(1))
            .from("jobs")
            .and_where(Expr::col("lane").eq(lane.to_string()))
            .and_where(Expr::col("lane_at").lte(self.now()))
            .limit(COUNTED)
            .to_owned();
        let count =
            Query::select().expr_as(Expr::cust("COUNT(*)"), "number").from_subquery(some, "due").to_owned();
        let counted = self.read().rows::<Counted>(&count).await?.pop();
        Ok(counted.map_or(0, |counted| number(counted.number)))
    }

    /// Number of jobs of each queue that run: no more than there are slots.
    async fn running_by_queue(&self) -> Result<BTreeMap<String, u64>, SessionError> {
        let count = Query::select()
            .column("queue")
            .expr_as(Expr::cust("COUNT(*)"), "number")
            .from("jobs")
            .and_where(Expr::col("lane").eq(Lane::Running.to_string()))
            .group_by_col("queue")
            .to_owned();
        let rows = self.read().rows::<OfQueue>(&count).await?;
        Ok(rows.into_iter().map(|row| (row.queue, number(row.number))).collect())
    }

    /// Queues in which a job waits that a worker may claim, with one look into the index for each.
    async fn queues_in_use(&self) -> Result<BTreeSet<Queue>, SessionError> {
        let (mut queues, mut after) = (BTreeSet::new(), String::new());
        while queues.len() < MOST_QUEUES {
            let Some(lane) = self.next_lane(&after, None).await? else { break };
            // Past all lanes of the queue, or of that sort: `/` follows `.`, and `;` follows `:`.
            after = match (lane.parse(), lane.split_once(':')) {
                (Ok(Lane::Ready(queue, _)), _) => {
                    let past = format!("{queue}/");
                    queues.insert(queue);
                    past
                }
                (_, Some((sort, _))) => format!("{sort};"),
                (_, None) => lane,
            };
        }
        Ok(queues)
    }

    /// Queues that a worker ever served, or that were paused: since when they are paused.
    async fn noted_queues(&self) -> Result<BTreeMap<String, Option<Timestamp>>, SessionError> {
        let select = Query::select().columns(["name", "paused_at"]).from("job_queues").to_owned();
        let rows = self.read().rows::<QueueRow>(&select).await?;
        Ok(rows.into_iter().map(|row| (row.name, row.paused_at)).collect())
    }
}

/// A number that was counted.
fn number(counted: i64) -> u64 {
    u64::try_from(counted).unwrap_or_default()
}
