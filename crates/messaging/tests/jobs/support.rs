//! What the tests of jobs have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use messaging::{
    JobAdmin, JobAdminError, JobFilter, JobRecord, JobRegistry, QueueRecord, WorkerSettings, Workers,
};
use migration::Migrator;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use shared_kernel::clock::{Clock, Timestamp};
use shared_kernel::job::{Job, JobId, JobOptions, JobState, Priority, Queue};
use shared_kernel::job_handler::{Attempt, External, JobKind, Stop, Transactional};
use shared_kernel::page::{Page, PageRequest};
use shared_kernel::session::{Databases, Reader, WriteSession};
use shared_kernel::testing::{FixedClock, TestDatabase};
use tokio::sync::mpsc;

/// A job whose keys are part of its payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) serial: Option<String>,
    pub(crate) unique: Option<String>,
}

impl Job for Note {
    const KIND: &'static str = "test.note";

    fn serial_key(&self) -> Option<String> {
        self.serial.clone()
    }

    fn unique_key(&self) -> Option<String> {
        self.unique.clone()
    }
}

pub(crate) fn note(text: &str) -> Note {
    Note { text: text.to_owned(), ..Note::default() }
}

/// A job of another queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Letter(pub(crate) String);

impl Job for Letter {
    const KIND: &'static str = "test.letter";
    const QUEUE: Queue = Queue::named("mail");
}

/// What a handler does with a text.
pub(crate) type Deed = dyn Fn(&str, &Attempt) -> Result<(), Stop> + Send + Sync;

/// Writes the text of a note into the database, and then does as it is told.
pub(crate) struct Writer(pub(crate) Box<Deed>);

impl Writer {
    pub(crate) fn new(deed: impl Fn(&str, &Attempt) -> Result<(), Stop> + Send + Sync + 'static) -> Self {
        Self(Box::new(deed))
    }

    pub(crate) fn succeeding() -> Self {
        Self::new(|_, _| Ok(()))
    }
}

impl Transactional<Note> for Writer {
    async fn run(&self, session: &WriteSession, job: &Note, attempt: &Attempt) -> Result<(), Stop> {
        effect(session, &job.text).await?;
        (self.0)(&job.text, attempt)
    }
}

/// Leaves something behind in the database.
pub(crate) async fn effect(session: &WriteSession, text: &str) -> Result<(), sea_orm::DbErr> {
    let mut insert = Query::insert();
    insert.into_table("job_queues").columns(["name"]).values_panic([format!(
        "{:.10}{}",
        text,
        shared_kernel::id::UserId::new(session.now())
    )
    .into()]);
    session.execute(&insert).await.map(drop)
}

/// What was left behind, in order.
pub(crate) async fn effects(databases: &Databases) -> Vec<String> {
    #[derive(FromQueryResult)]
    struct Effect {
        name: String,
    }
    let select = Query::select().column("name").from("job_queues").to_owned();
    let rows: Vec<Effect> = databases.read_primary().rows(&select).await.unwrap();
    // The table has the names of queues, too.
    let text = |row: &Effect| Some(row.name.rsplit_once("usr_")?.0.to_owned());
    let mut texts: Vec<_> = rows.iter().filter_map(text).collect();
    texts.sort();
    texts
}

/// Tells the test what it is called with, and waits for its permission to end.
pub(crate) struct Caller {
    called: mpsc::UnboundedSender<String>,
    end: tokio::sync::Semaphore,
    now: Mutex<BTreeMap<String, usize>>,
}

impl Caller {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (called, calls) = mpsc::unbounded_channel();
        (Arc::new(Self { called, end: tokio::sync::Semaphore::new(0), now: Mutex::default() }), calls)
    }

    pub(crate) fn let_end(&self, calls: usize) {
        self.end.add_permits(calls);
    }

    /// How many calls of a text run now.
    pub(crate) fn running(&self, text: &str) -> usize {
        self.now.lock().unwrap().get(text).copied().unwrap_or_default()
    }

    async fn call(&self, text: &str) -> Result<(), Stop> {
        *self.now.lock().unwrap().entry(text.to_owned()).or_default() += 1;
        self.called.send(text.to_owned()).unwrap();
        self.end.acquire().await?.forget();
        *self.now.lock().unwrap().get_mut(text).unwrap() -= 1;
        Ok(())
    }
}

impl External<Note> for Arc<Caller> {
    async fn run(&self, job: &Note, _: &Attempt) -> Result<(), Stop> {
        self.call(&job.text).await
    }
}

impl External<Letter> for Arc<Caller> {
    async fn run(&self, job: &Letter, _: &Attempt) -> Result<(), Stop> {
        self.call(&job.0).await
    }
}

/// A job as it is stored.
#[derive(Debug, PartialEq, FromQueryResult)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) payload: serde_json::Value,
    pub(crate) state: String,
    pub(crate) lane: String,
    pub(crate) lane_at: Timestamp,
    pub(crate) claim: i32,
    pub(crate) failures: i32,
    pub(crate) worker_id: Option<String>,
    pub(crate) unique_key: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) step: i32,
    pub(crate) step_cursor: Option<serde_json::Value>,
    pub(crate) done_count: Option<i64>,
    pub(crate) total_count: Option<i64>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

pub(crate) async fn jobs(databases: &Databases) -> Vec<Row> {
    let select = Query::select()
        .columns([
            "id",
            "payload",
            "state",
            "lane",
            "lane_at",
            "claim",
            "failures",
            "worker_id",
            "unique_key",
        ])
        .columns([
            "principal",
            "step",
            "step_cursor",
            "done_count",
            "total_count",
            "finished_at",
            "last_error",
        ])
        .from("jobs")
        .order_by("id", Order::Asc)
        .to_owned();
    databases.read_primary().rows(&select).await.unwrap()
}

pub(crate) async fn job(databases: &Databases, id: JobId) -> Row {
    jobs(databases).await.into_iter().find(|row| row.id == id.to_string()).unwrap()
}

/// States of all jobs, in the order in which they were enqueued.
pub(crate) async fn states(databases: &Databases) -> Vec<String> {
    jobs(databases).await.into_iter().map(|row| row.state).collect()
}

/// Number of rows of a table.
pub(crate) async fn count(databases: &Databases, table: &'static str) -> i64 {
    #[derive(FromQueryResult)]
    struct Count {
        n: i64,
    }
    let select = Query::select().expr_as(Expr::cust("COUNT(*)"), "n").from(table).to_owned();
    databases.read_primary().rows::<Count>(&select).await.unwrap().pop().unwrap().n
}

/// Changes a row as another process would.
pub(crate) async fn set(databases: &Databases, id: JobId, column: &'static str, value: impl Into<Expr>) {
    let update =
        Query::update().table("jobs").value(column, value).and_where(Expr::col("id").eq(id)).to_owned();
    databases.primary().execute(&update).await.unwrap();
}

pub(crate) async fn enqueue<J: Job>(databases: &Databases, job: &J) -> JobId {
    enqueue_with(databases, job, JobOptions::default()).await
}

pub(crate) async fn enqueue_with<J: Job>(databases: &Databases, job: &J, options: JobOptions) -> JobId {
    let session = databases.write();
    let id = session.enqueue_with(job, options).unwrap();
    session.commit(id).await.unwrap().into_value()
}

pub(crate) fn with_priority(priority: Priority) -> JobOptions {
    JobOptions { priority: Some(priority), ..JobOptions::default() }
}

/// A database with a clock that stands at a whole second: the moment that has the shortest text.
pub(crate) async fn at_rest() -> (TestDatabase, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_unix_millis(1_800_000_000_000).unwrap()));
    (TestDatabase::with_clock::<Migrator>(Arc::clone(&clock) as Arc<dyn Clock>).await, clock)
}

pub(crate) fn workers(databases: &Databases, kinds: Vec<JobKind>) -> Workers {
    workers_with(databases, kinds, quick())
}

/// Workers that notice everything soon.
pub(crate) fn quick() -> WorkerSettings {
    let soon = Duration::from_millis(10);
    let host = "test".to_owned();
    WorkerSettings { host, poll_interval: soon, beat_interval: soon, ..WorkerSettings::default() }
}

pub(crate) fn workers_with(databases: &Databases, kinds: Vec<JobKind>, settings: WorkerSettings) -> Workers {
    let jobs = JobRegistry { kinds, ..JobRegistry::default() };
    Workers::new(databases.clone(), jobs, settings).unwrap()
}

/// Fails a test that would hang.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("this does not hang")
}

/// Waits until the database is as expected.
pub(crate) async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    soon(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) fn clock_now(databases: &Databases) -> Timestamp {
    databases.clock().now()
}

/// What operators do, each in a session of its own.
pub(crate) struct Operator(pub(crate) JobAdmin, pub(crate) Databases);

impl Operator {
    pub(crate) fn of(databases: &Databases) -> Self {
        Self(JobAdmin::new(databases.clone()), databases.clone())
    }

    pub(crate) async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Page<JobRecord> {
        self.0.list(&self.1.read_primary(), filter, page).await.unwrap()
    }

    /// Number of jobs in a state.
    pub(crate) async fn count(&self, state: JobState) -> usize {
        let filter = JobFilter { state: Some(state), ..JobFilter::default() };
        self.list(&filter, &PageRequest::first(100)).await.items.len()
    }

    pub(crate) async fn get(&self, id: JobId) -> Result<JobRecord, JobAdminError> {
        self.0.get(&self.1.read_primary(), id).await
    }

    pub(crate) async fn retry(&self, id: JobId) -> Result<JobRecord, JobAdminError> {
        let session = self.1.write();
        let job = self.0.retry(&session, id).await?;
        Ok(session.commit(job).await?.into_value())
    }

    pub(crate) async fn cancel(&self, id: JobId) -> Result<JobRecord, JobAdminError> {
        let session = self.1.write();
        let job = self.0.cancel(&session, id).await?;
        Ok(session.commit(job).await?.into_value())
    }

    pub(crate) async fn pause(&self, name: &str) -> Result<QueueRecord, JobAdminError> {
        let session = self.1.write();
        let queue = self.0.pause(&session, name).await?;
        Ok(session.commit(queue).await?.into_value())
    }

    pub(crate) async fn resume(&self, name: &str) -> Result<QueueRecord, JobAdminError> {
        let session = self.1.write();
        let queue = self.0.resume(&session, name).await?;
        Ok(session.commit(queue).await?.into_value())
    }
}
