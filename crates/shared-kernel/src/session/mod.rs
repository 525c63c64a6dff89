//! Database sessions: read sessions, which cannot write, and write sessions (transactions), whose commit cannot be forgotten.
//!
//! - [`ReadSession`]: from a replica where one is configured, else from the primary (SQLite: from a pool of readers). It has
//!   the methods of [`Reader`] and nothing else.
//! - [`ReadPrimary`]: the same from the primary, for decisions that need current data.
//! - [`WriteSession`]: one transaction on the primary. It begins at its first statement, so a request that is refused
//!   before uses no connection, and ends with [`commit`](WriteSession::commit) or is rolled back when dropped.
//!
//! A session in which a statement failed does not commit: PostgreSQL answers `COMMIT` after a failed statement with success,
//! although it rolled back. [`savepoint`](WriteSession::savepoint) is for failures that are expected.
//!
//! **Await nothing but the database while a transaction is open.** Hash passwords and call other services first.

mod connect;
mod error;
mod listen;
mod postgres;
pub(crate) mod recent;
mod replica;
mod settings;
mod sqlite;
mod texts;
mod token;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::sea_query::{CommonTableExpression, InsertStatement, Query, SelectStatement};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, ExecResult, FromQueryResult,
    Iterable as _, QueryResult, QuerySelect as _, QueryTrait as _, RuntimeErr, Select, Statement, UpdateMany,
    Values,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell};

pub use self::connect::engine_of;
pub use self::error::{ConnectError, SessionError};
pub use self::listen::Notifications;
use self::postgres::Pool;
use self::recent::{Reading, RecentRows, RowKey};
use self::replica::Replicas;
pub use self::settings::DatabaseSettings;
use self::sqlite::Sqlite;
use self::texts::StatementTexts;
use self::token::Position;
pub use self::token::{ConsistencyToken, InvalidConsistencyToken};
use crate::clock::{SharedClock, Timestamp};
use crate::crypto::MacKey;
use crate::event::{DomainEvent, Envelope, EventId, Origin, PendingEvent, outbox};
use crate::from_columns::{self, FromColumns};
use crate::id::{Id, IdKind};
use crate::job::{self, Job, JobId, JobOptions, JobSignal, PendingJob, Wake};
use crate::resource::Resources;

/// The databases of an installation: a primary, and replicas or a pool for reads. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Databases(Arc<Shared>);

struct Shared {
    engine: Engine,
    clock: SharedClock,
    cursor_key: MacKey,
    resources: Resources,
    events: Notify,
    jobs: JobSignal,
    recent: RecentRows,
    texts: StatementTexts,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

struct Postgres {
    primary: Pool,
    replicas: Replicas,
    /// The primary, for migrations.
    schema: DatabaseConnection,
    /// The server that notifications are exchanged by.
    listening: Box<PgConnectOptions>,
}

impl Engine {
    fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// The rows of a read-only statement, from the primary.
    async fn fetch_current(&self, statement: &Statement, plan: Plan) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            // Not on the writing connection.
            Self::Sqlite(sqlite) => sqlite.fetch(statement.clone()).await,
            Self::Postgres(postgres) => postgres.primary.fetch(statement, plan).await,
        }
    }
}

/// How PostgreSQL plans a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Plan {
    /// Once for each connection: the statement is prepared, and the plan is kept.
    #[default]
    Kept,
    /// Each time, for the size that the tables have then.
    Fresh,
}

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Databases").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

impl Databases {
    /// A read session that sees the write of the token `seen`.
    #[must_use]
    pub fn read(&self, seen: Option<ConsistencyToken>) -> ReadSession {
        ReadSession { databases: self.clone(), seen, chosen: OnceCell::new(), moved: AtomicBool::new(false) }
    }

    /// A read session on the primary.
    #[must_use]
    pub fn read_primary(&self) -> ReadPrimary {
        ReadPrimary { databases: self.clone(), plan: Plan::Kept }
    }

    /// A write session. It uses no connection before its first statement.
    #[must_use]
    pub fn write(&self) -> WriteSession {
        WriteSession {
            databases: self.clone(),
            plan: Plan::Kept,
            transaction: OnceCell::new(),
            failed: AtomicBool::new(false),
            ended_by: OnceLock::new(),
            open_scopes: AtomicUsize::new(0),
            has_events: AtomicBool::new(false),
            jobs: Mutex::default(),
            after_commit: Mutex::default(),
            now: OnceLock::new(),
            origin: OnceLock::new(),
        }
    }

    /// The database engine.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.0.engine.backend()
    }

    /// The primary itself, for migrations and tests. Everything else uses sessions, which check their connection and have
    /// timeouts.
    #[must_use]
    pub fn primary(&self) -> &DatabaseConnection {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.primary(),
            Engine::Postgres(postgres) => &postgres.schema,
        }
    }

    /// The clock of the sessions.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// The descriptions of tables for other domains.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.0.resources
    }

    /// Notified when a session that wrote events is committed, for the relay of this process. A notification without a waiting task is
    /// stored for the next one.
    #[must_use]
    pub fn events(&self) -> &Notify {
        &self.0.events
    }

    /// Number of write sessions that can have a transaction at the same time.
    #[must_use]
    pub fn writers(&self) -> usize {
        match &self.0.engine {
            Engine::Sqlite(_) => 1,
            Engine::Postgres(postgres) => postgres.primary.writers(),
        }
    }

    /// Tells the workers of this process about jobs that were enqueued.
    #[must_use]
    pub fn jobs(&self) -> &JobSignal {
        &self.0.jobs
    }

    /// Checks that the primary answers and accepts writes. SQLite does not while the disk is full, a PostgreSQL server not while it is a
    /// standby.
    ///
    /// # Errors
    ///
    /// [`SessionError::Standby`], and errors of the database.
    pub async fn ping(&self) -> Result<(), SessionError> {
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.takes_writes(self.write()).await,
            Engine::Postgres(postgres) if postgres.primary.is_standby().await? => Err(SessionError::Standby),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Truncates SQLite's write-ahead log if it has grown because a reader used an older snapshot for long. To be called regularly; it
    /// does not wait, and usually has nothing to do.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn truncate_log(&self) -> Result<(), SessionError> {
        let Engine::Sqlite(sqlite) = &self.0.engine else { return Ok(()) };
        let trimmed = sqlite.trim_log().await;
        Ok(trimmed.map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error))))?)
    }

    /// Whether each replica is in use.
    #[must_use]
    pub fn replicas_in_use(&self) -> Vec<bool> {
        match &self.0.engine {
            Engine::Sqlite(_) => Vec::new(),
            Engine::Postgres(postgres) => postgres.replicas.in_use(),
        }
    }
}

mod source {
    use super::{Databases, DbBackend, MacKey, QueryResult, SessionError, Statement};

    /// Source of rows. Private, so that no other type can be one.
    pub trait Source: Send + Sync {
        fn backend(&self) -> DbBackend;
        fn fetch(
            &self,
            statement: Statement,
        ) -> impl Future<Output = Result<Vec<QueryResult>, SessionError>> + Send;
        fn cursor_key(&self) -> &MacKey;
        fn databases(&self) -> &Databases;
    }
}
use self::source::Source;

/// Queries on a [`ReadSession`], a [`ReadPrimary`] or a [`WriteSession`].
pub trait Reader: Source {
    /// The first row of `select`, if any.
    fn one<E: EntityTrait<Model: FromColumns>>(
        &self,
        select: Select<E>,
    ) -> impl Future<Output = Result<Option<E::Model>, SessionError>> + Send {
        let statement = select.limit(1).build(self.backend());
        async move {
            let rows = self.fetch(statement).await?;
            Ok(from_columns::models::<E>(&rows)?.pop())
        }
    }

    /// The descriptions of tables for other domains.
    fn resources(&self) -> &Resources {
        self.databases().resources()
    }

    /// All rows of `select`. Use a limit or pages for tables that can grow.
    fn all<E: EntityTrait<Model: FromColumns>>(
        &self,
        select: Select<E>,
    ) -> impl Future<Output = Result<Vec<E::Model>, SessionError>> + Send {
        let statement = select.build(self.backend());
        async move {
            let rows = self.fetch(statement).await?;
            Ok(from_columns::models::<E>(&rows)?)
        }
    }

    /// Number of rows of `select`.
    fn count<E: EntityTrait>(
        &self,
        select: Select<E>,
    ) -> impl Future<Output = Result<u64, SessionError>> + Send {
        let inner = select.select_only().expr(sea_orm::sea_query::Expr::val(1)).into_query();
        let mut outer = SelectStatement::new();
        outer.expr_as(sea_orm::sea_query::Expr::cust("COUNT(*)"), "count").from_subquery(inner, "counted");
        async move {
            let counted: Option<Counted> = self.rows(&outer).await?.pop();
            Ok(counted.map_or(0, |counted| u64::try_from(counted.count).unwrap_or(0)))
        }
    }

    /// The rows of any `SELECT`, as `T`: for results that are not an entity, such as sums over several tables.
    fn rows<T: FromQueryResult + Send>(
        &self,
        select: &SelectStatement,
    ) -> impl Future<Output = Result<Vec<T>, SessionError>> + Send {
        let statement = self.backend().build(select);
        async move {
            let rows = self.fetch(statement).await?;
            Ok(rows.iter().map(|row| T::from_query_result(row, "")).collect::<Result<_, DbErr>>()?)
        }
    }
}

#[derive(FromQueryResult)]
struct Counted {
    count: i64,
}

/// Reads from a replica where there is one. Reads are monotonic: what one statement has seen, the next one sees too.
pub struct ReadSession {
    databases: Databases,
    seen: Option<ConsistencyToken>,
    chosen: OnceCell<Option<usize>>,
    /// Whether the primary has answered in place of the replica. It is ahead of every replica, so it answers everything from then on.
    moved: AtomicBool,
}

impl Source for ReadSession {
    fn backend(&self) -> DbBackend {
        self.databases.backend()
    }

    fn cursor_key(&self) -> &MacKey {
        &self.databases.0.cursor_key
    }

    fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Runs one statement on the replica that the first statement of the session chose. If the replica is unreachable, it is no longer
    /// used and the primary answers; the primary also answers if the replica cancelled the query.
    async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, SessionError> {
        let engine = &self.databases.0.engine;
        if let Engine::Postgres(Postgres { replicas, .. }) = engine
            && !self.moved.load(Ordering::Acquire)
            && let Some(index) = *self.chosen.get_or_init(|| replicas.choose(self.seen)).await
            && let Some(replica) = replicas.pool(index)
        {
            match replica.fetch(&statement, Plan::Kept).await.map_err(SessionError::from) {
                Err(error) if error.is_unreachable() => replicas.failed(index, &error),
                Err(error) if error.is_for_the_primary() => {}
                answered => return answered,
            }
        }
        self.moved.store(true, Ordering::Release);
        Ok(engine.fetch_current(&statement, Plan::Kept).await?)
    }
}

impl Reader for ReadSession {}

impl ReadSession {
    /// The row, if it was read recently enough for this session.
    pub(crate) fn recent<M: Any + Send + Sync>(&self, key: RowKey) -> Option<Arc<M>> {
        self.databases.0.recent.get(key, self.databases.clock().now(), self.seen)
    }

    /// Begins a read whose row may be kept.
    pub(crate) fn begin_reading(&self, key: RowKey) -> Reading {
        self.databases.begin_reading(key)
    }

    /// Keeps a row for [`recent`](Self::recent), unless a replica has answered.
    pub(crate) fn keep<M: Any + Send + Sync>(&self, reading: &Reading, row: &Arc<M>) {
        if self.moved.load(Ordering::Acquire) {
            self.databases.0.recent.keep(reading, row);
        }
    }
}

/// Reads from the primary: for security decisions, and before a write that depends on what was read.
pub struct ReadPrimary {
    databases: Databases,
    plan: Plan,
}

impl Source for ReadPrimary {
    fn backend(&self) -> DbBackend {
        self.databases.backend()
    }

    fn cursor_key(&self) -> &MacKey {
        &self.databases.0.cursor_key
    }

    fn databases(&self) -> &Databases {
        &self.databases
    }

    async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, SessionError> {
        Ok(self.databases.0.engine.fetch_current(&statement, self.plan).await?)
    }
}

impl Reader for ReadPrimary {}

impl ReadPrimary {
    /// Plans its statements anew each time: see [`WriteSession::with_fresh_plans`].
    #[must_use]
    pub fn with_fresh_plans(self) -> Self {
        Self { plan: Plan::Fresh, ..self }
    }

    /// The rows of a statement of which only the values change: its text is built once for each type `Shape`.
    pub(crate) async fn fetch_shape<Shape: 'static>(
        &self,
        values: Values,
        build: impl FnOnce() -> SelectStatement,
    ) -> Result<Vec<QueryResult>, SessionError> {
        let backend = self.backend();
        let texts = &self.databases.0.texts;
        let statement = texts.statement::<Shape>(backend, values, |_| backend.build(&build()));
        self.fetch(statement).await
    }

    /// Begins a read whose row may be kept.
    pub(crate) fn begin_reading(&self, key: RowKey) -> Reading {
        self.databases.begin_reading(key)
    }

    /// Keeps a row for [`ReadSession::recent`].
    pub(crate) fn keep<M: Any + Send + Sync>(&self, reading: &Reading, row: &Arc<M>) {
        self.databases.0.recent.keep(reading, row);
    }
}

impl Databases {
    fn begin_reading(&self, key: RowKey) -> Reading {
        self.0.recent.begin(key, self.clock().now())
    }

    /// Removes all rows that are kept in memory for reads by id: for tests that change rows by statements of their own.
    pub fn forget_recent_rows(&self) {
        self.0.recent.remove_all();
    }
}

/// An open transaction of either engine. It is rolled back when dropped.
enum Transaction {
    Sqlite(sqlite::Transaction),
    Postgres(postgres::Transaction),
}

impl Transaction {
    async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute(statement).await,
            Self::Postgres(transaction) => transaction.execute(&statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute_unprepared(sql).await,
            Self::Postgres(transaction) => transaction.execute_unprepared(sql).await,
        }
    }

    async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.fetch(statement).await,
            Self::Postgres(transaction) => transaction.fetch(&statement).await,
        }
    }

    /// Rolls back after a failure. On PostgreSQL in the background.
    async fn roll_back_or_drop(self) {
        if let Self::Sqlite(transaction) = self {
            transaction.roll_back().await;
        }
    }
}

/// One transaction on the primary.
pub struct WriteSession {
    databases: Databases,
    plan: Plan,
    transaction: OnceCell<Transaction>,
    failed: AtomicBool,
    /// The failure that may have ended the transaction: further statements would run outside of it and be committed at once.
    ended_by: OnceLock<DbErr>,
    /// Number of statements, savepoints and operations of several statements that have begun and not ended. If one is cancelled, the
    /// session does not commit.
    open_scopes: AtomicUsize,
    /// Whether events were written into the outbox.
    has_events: AtomicBool,
    /// Jobs that are written before the commit.
    jobs: Mutex<Vec<PendingJob>>,
    /// The hooks, in the order of the calls.
    after_commit: Mutex<Vec<Hook>>,
    now: OnceLock<Timestamp>,
    origin: OnceLock<Origin>,
}

impl WriteSession {
    /// The time of this session, the same for every row that it writes.
    pub fn now(&self) -> Timestamp {
        *self.now.get_or_init(|| self.databases.0.clock.now())
    }

    /// A new id with the time of this session.
    pub fn new_id<K: IdKind>(&self) -> Id<K> {
        Id::new(self.now())
    }

    /// Writes `event` into the outbox; it is delivered after this session is committed. Change the row first, then emit: the id of the
    /// event contains the time of this call. Of two sessions that change one row, the second one waits for the first and then gets
    /// the later id, even if it began earlier.
    ///
    /// # Errors
    ///
    /// Errors of the database, and an event that cannot be serialized as JSON.
    pub async fn emit<E: DomainEvent>(&self, event: &E) -> Result<EventId, SessionError> {
        let pending = PendingEvent::of(event).map_err(|error| DbErr::Json(error.to_string()));
        self.emit_raw(self.record_failure(pending)?).await
    }

    /// [`emit`](Self::emit) for an event of any type.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn emit_raw(&self, pending: PendingEvent) -> Result<EventId, SessionError> {
        let envelope = self.sealed(pending);
        let id = envelope.id;
        let backend = self.databases.backend();
        let values = Values(outbox::values(envelope).into());
        let insert = |values: &Values| backend.build(&outbox::insert_values([values.0.clone()]));
        self.execute_raw(self.databases.0.texts.statement::<Envelope>(backend, values, insert)).await?;
        Ok(id)
    }

    /// [`emit_raw`](Self::emit_raw) for many events, in order and in few statements.
    pub(crate) async fn emit_all(&self, pending: Vec<PendingEvent>) -> Result<(), SessionError> {
        let mut envelopes = pending.into_iter().map(|pending| self.sealed(pending)).peekable();
        while envelopes.peek().is_some() {
            self.execute(&outbox::insert(envelopes.by_ref().take(EVENTS_AT_ONCE))).await?;
        }
        Ok(())
    }

    /// Whether [`add_event`](Self::add_event) is possible.
    pub(crate) fn inserts_with_event(&self) -> bool {
        self.databases.backend() == DbBackend::Postgres
    }

    /// Adds the insertion of an event to that of its row, so that both are one statement (PostgreSQL manual, 7.8.4, data-modifying
    /// statements in `WITH`).
    ///
    /// The id of the event is made before the row is written, which is only right for a new row: nobody else can change it, so no other
    /// event about it is earlier. See [`emit`](Self::emit).
    pub(crate) fn add_event(&self, row: &mut InsertStatement, pending: PendingEvent) {
        let mut event = CommonTableExpression::new();
        event.table_name("event").query(outbox::insert([self.sealed(pending)]));
        row.with_cte(event);
    }

    /// Runs a statement that inserts a row, and returns it.
    pub(crate) async fn insert_returning<E>(&self, mut insert: InsertStatement) -> Result<E::Model, DbErr>
    where
        E: EntityTrait<Model: FromColumns>,
    {
        insert.returning(Query::returning().columns(E::Column::iter()));
        let inserted = from_columns::models::<E>(&self.query_all(&insert).await?)?.pop();
        inserted.ok_or(DbErr::RecordNotInserted)
    }

    /// Runs a statement that changes rows, and returns them as they are then.
    pub(crate) async fn update_returning<E>(&self, update: UpdateMany<E>) -> Result<Vec<E::Model>, DbErr>
    where
        E: EntityTrait<Model: FromColumns>,
    {
        let mut update = update.into_query();
        update.returning(Query::returning().columns(E::Column::iter()));
        from_columns::models::<E>(&self.query_all(&update).await?)
    }

    fn sealed(&self, pending: PendingEvent) -> Envelope {
        self.has_events.store(true, Ordering::Release);
        let id = Id::new(self.databases.0.clock.now());
        pending.sealed(id, self.now(), self.origin.get().cloned().unwrap_or_default())
    }

    /// Enqueues a job, which runs after this session is committed, and not if it is rolled back. Its row is written before the commit,
    /// with those of all jobs of the session in one statement.
    ///
    /// Returns the id of the job. If a job with its [unique key](Job::unique_key) waits already, that one keeps its own id, and no job
    /// has this one.
    ///
    /// # Errors
    ///
    /// The job [cannot be stored](crate::job::InvalidJob). Errors of the database are those of the commit.
    pub fn enqueue<J: Job>(&self, job: &J) -> Result<JobId, SessionError> {
        self.enqueue_with(job, JobOptions::default())
    }

    /// [`enqueue`](Self::enqueue) with a delay or another priority.
    ///
    /// # Errors
    ///
    /// Those of [`enqueue`](Self::enqueue).
    pub fn enqueue_with<J: Job>(&self, job: &J, options: JobOptions) -> Result<JobId, SessionError> {
        let pending = self.record_failure(PendingJob::of(job, options, self.now()))?;
        let id = pending.id();
        self.pending_jobs().push(pending);
        Ok(id)
    }

    fn pending_jobs(&self) -> MutexGuard<'_, Vec<PendingJob>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the jobs. Returns what the workers are told after the commit.
    async fn write_jobs(&self) -> Result<Vec<Wake>, SessionError> {
        let pending = std::mem::take(&mut *self.pending_jobs());
        if pending.is_empty() || self.failed.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        let mut jobs = job::in_order(pending).into_iter().peekable();
        let mut wakes: Vec<Wake> = Vec::new();
        let origin = self.origin.get().cloned().unwrap_or_default();
        while jobs.peek().is_some() {
            let batch: Vec<_> = jobs.by_ref().take(JOBS_AT_ONCE).collect();
            for wake in batch.iter().flat_map(PendingJob::wakes) {
                wake.merge_into(&mut wakes);
            }
            self.execute(&job::insert(batch, &origin, self.now(), self.backend())).await?;
        }
        Ok(wakes)
    }

    /// Has PostgreSQL plan the statements of this session anew, each time. A plan that is kept was made for the size that a table had
    /// then: after a table has grown from nothing, it reads the whole table until statistics are collected (PostgreSQL manual,
    /// `PREPARE`, "Notes"). Costs one more round trip for each statement.
    #[must_use]
    pub fn with_fresh_plans(self) -> Self {
        Self { plan: Plan::Fresh, ..self }
    }

    /// Sets the principal and the trace context of the events that this session emits from now on. Only the first call has an
    /// effect.
    pub fn set_origin(&self, origin: Origin) {
        // The caller that opened the session knows the origin best.
        let _ = self.origin.set(origin);
    }

    /// Runs `hook` after this session is committed and before the answer is sent, in the order of the calls: to invalidate an
    /// entry of a cache, for example. The hooks of a session that is rolled back are dropped.
    ///
    /// Once the commit has been sent, every hook runs: in a task of its own if the request is cut off, and also if the commit
    /// fails, because it may have been done although its answer was lost. So a hook has to be harmless where nothing was written.
    /// Work that must not be lost when the process ends belongs into an [event](Self::emit).
    pub fn after_commit(&self, hook: impl Future<Output = ()> + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(hook));
    }

    /// Removes a row from those kept in memory, once this session is committed.
    pub(crate) fn forget_recent(&self, key: RowKey) {
        let databases = self.databases.clone();
        self.after_commit(async move { databases.0.recent.remove(key) });
    }

    /// Removes all of them, once this session is committed.
    pub(crate) fn forget_all_recent(&self) {
        let databases = self.databases.clone();
        self.after_commit(async move { databases.forget_recent_rows() });
    }

    /// Starts again: rolls back, drops the hooks, and begins another transaction with the next statement, at a new time and for the same
    /// [`Origin`]. For work that failed because of a concurrent change and has to read again.
    pub fn restart(&mut self) {
        let origin = self.origin.take();
        *self = self.databases.write();
        if let Some(origin) = origin {
            self.set_origin(origin);
        }
    }

    /// Commits the transaction and runs the [hooks](Self::after_commit). `value` becomes the response.
    ///
    /// # Errors
    ///
    /// [`SessionError::Failed`] if a statement of this session failed, or if a statement, a savepoint or a deletion was cancelled; errors
    /// of the database. Nothing is written then, unless the connection broke during the commit itself.
    pub async fn commit<T>(self, value: T) -> Result<Committed<T>, SessionError> {
        let has_jobs = !self.pending_jobs().is_empty();
        let written = if has_jobs { Box::pin(self.write_jobs()).await } else { Ok(Vec::new()) };
        let failed = self.failed.into_inner() || self.open_scopes.into_inner() > 0;
        let transaction = self.transaction.into_inner();
        if failed {
            if let Some(transaction) = transaction {
                transaction.roll_back_or_drop().await;
            }
            let wakes = written?;
            debug_assert!(wakes.is_empty(), "a failed session writes no jobs");
            let cause = self.ended_by.into_inner().map(SessionError::Database);
            return Err(cause.filter(SessionError::is_transient).unwrap_or(SessionError::Failed));
        }
        // Also if this future is dropped before the answer arrives: the transaction may have been committed.
        let notify = Notification {
            has_events: self.has_events.into_inner(),
            jobs: written?,
            databases: self.databases.clone(),
        };
        let hooks = Hooks(self.after_commit.into_inner().unwrap_or_else(PoisonError::into_inner).into());
        let token = |position| ConsistencyToken::new(self.databases.clock().now(), position);
        let consistency = match transaction {
            // No statement was run.
            None => None,
            Some(Transaction::Sqlite(transaction)) => {
                transaction.commit().await?;
                Some(token(None))
            }
            Some(Transaction::Postgres(transaction)) => {
                let connection = transaction.commit().await?;
                drop(notify);
                Some(token(self.databases.position(connection).await))
            }
        };
        hooks.run().await;
        Ok(Committed { value, consistency })
    }

    /// Runs `work`, which may fail, in a savepoint: its writes are undone if it fails, and the session can still be committed. If
    /// the future is dropped before it ends, nothing is undone, and the session cannot be committed.
    ///
    /// # Errors
    ///
    /// The outer error is one of the database, the inner one that of `work`.
    pub async fn savepoint<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, SessionError> {
        let failed_before = self.failed.load(Ordering::Acquire);
        let jobs_before = self.pending_jobs().len();
        self.open_scopes.fetch_add(1, Ordering::AcqRel);
        self.execute_unprepared("SAVEPOINT work").await?;
        let outcome = work.await;
        if outcome.is_err() {
            // If the transaction has ended, so has the savepoint; the error of `work` is the better one to report.
            self.still_open()?;
            self.execute_unprepared("ROLLBACK TO SAVEPOINT work").await?;
            self.failed.store(failed_before, Ordering::Release);
            self.pending_jobs().truncate(jobs_before);
        }
        self.execute_unprepared("RELEASE SAVEPOINT work").await?;
        // Not after an error of the database: that session has failed.
        self.open_scopes.fetch_sub(1, Ordering::AcqRel);
        Ok(outcome)
    }

    /// Runs `work`, which changes something in several statements: if the future is dropped before it ends, the session does not commit.
    pub(crate) async fn atomically<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.open_scopes.fetch_add(1, Ordering::AcqRel);
        let outcome = work.await;
        self.open_scopes.fetch_sub(1, Ordering::AcqRel);
        outcome
    }

    /// The transaction, begun if this is its first statement.
    async fn transaction(&self) -> Result<&Transaction, DbErr> {
        self.still_open()?;
        let begin = || async {
            match &self.databases.0.engine {
                Engine::Sqlite(sqlite) => sqlite.begin().await.map(Transaction::Sqlite),
                Engine::Postgres(postgres) => postgres::Transaction::begin(&postgres.primary, self.plan)
                    .await
                    .map(Transaction::Postgres),
            }
        };
        self.record_failure(self.transaction.get_or_try_init(begin).await)
    }

    /// Runs one statement.
    async fn send<'s, T, F>(&'s self, statement: impl FnOnce(&'s Transaction) -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let transaction = self.transaction().await?;
        let outcome = self.atomically(statement(transaction)).await;
        if let Err(error) = &outcome
            && error::has_unknown_outcome(error)
        {
            // Only the first one: later failures follow from it.
            let _ = self.ended_by.set(error.clone());
        }
        self.record_failure(outcome)
    }

    /// The failure that may have ended the transaction, if there was one.
    fn still_open(&self) -> Result<(), DbErr> {
        self.ended_by.get().cloned().map_or(Ok(()), Err)
    }

    /// Records a failure, after which the session does not commit.
    pub(crate) fn record_failure<T, E>(&self, outcome: Result<T, E>) -> Result<T, E> {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        outcome
    }
}

impl fmt::Debug for WriteSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteSession").field("begun", &self.transaction.initialized()).finish_non_exhaustive()
    }
}

#[sea_orm::prelude::async_trait::async_trait]
impl ConnectionTrait for WriteSession {
    fn get_database_backend(&self) -> DbBackend {
        self.databases.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.send(|transaction| transaction.execute(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.send(|transaction| transaction.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.send(|transaction| transaction.fetch(statement)).await
    }
}

impl Source for WriteSession {
    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    fn cursor_key(&self) -> &MacKey {
        &self.databases.0.cursor_key
    }

    fn databases(&self) -> &Databases {
        &self.databases
    }

    async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, SessionError> {
        Ok(self.query_all_raw(statement).await?)
    }
}

impl Reader for WriteSession {}

impl Databases {
    /// Position of the primary in its WAL, if there are replicas. The commit is done: after a failure or a timeout here, the next reads
    /// go to the primary, because no replica has reached the returned position.
    async fn position(&self, connection: postgres::AfterCommit) -> Option<Position> {
        if self.replicas_in_use().is_empty() {
            return None;
        }
        let sql =
            Statement::from_string(DbBackend::Postgres, "SELECT pg_current_wal_lsn()::text AS position");
        let answer = connection.ask(&sql, POSITION_TIMEOUT).await;
        let position = || answer?.try_get::<String>("", "position").ok()?.parse().ok();
        Some(position().unwrap_or(Position::UNREACHED))
    }
}

/// Notifies the relay and the workers when dropped.
struct Notification {
    has_events: bool,
    jobs: Vec<Wake>,
    databases: Databases,
}

impl Drop for Notification {
    fn drop(&mut self) {
        if self.has_events {
            self.databases.events().notify_one();
        }
        self.jobs.drain(..).for_each(|wake| self.databases.jobs().send(wake));
    }
}

/// The hooks of a session whose commit was sent. Those that have not ended when this is dropped run in a task of their own.
struct Hooks(VecDeque<Hook>);

type Hook = BoxFuture<'static, ()>;

impl Hooks {
    async fn run(mut self) {
        run_in_order(&mut self.0).await;
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.0);
        if !rest.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move { run_in_order(&mut rest).await });
        }
    }
}

/// Each hook stays in the queue until it has ended, so that one that was interrupted can go on.
async fn run_in_order(hooks: &mut VecDeque<Hook>) {
    while let Some(hook) = hooks.front_mut() {
        hook.await;
        hooks.pop_front();
    }
}

/// Proof that the write behind `value` was committed. Only [`WriteSession::commit`] returns one.
#[must_use = "the answer is built from it"]
#[derive(Debug)]
pub struct Committed<T> {
    value: T,
    consistency: Option<ConsistencyToken>,
}

impl<T> Committed<T> {
    /// The value, and the token for the header `Consistency-Token`; `None` if no statement was run.
    pub fn into_parts(self) -> (T, Option<ConsistencyToken>) {
        (self.value, self.consistency)
    }

    /// A reference to the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Applies `f` to the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Committed<U> {
        Committed { value: f(self.value), consistency: self.consistency }
    }
}

impl<T, E> Committed<Result<T, E>> {
    /// For a commit whose response is an error: "end the session, then refuse".
    ///
    /// # Errors
    ///
    /// The committed error.
    pub fn transpose(self) -> Result<Committed<T>, E> {
        let Self { value, consistency } = self;
        value.map(|value| Committed { value, consistency })
    }
}

/// Number of events in one statement: eleven values each, of the 32,766 that SQLite accepts.
const EVENTS_AT_ONCE: usize = 500;

/// Number of jobs in one statement: sixteen values each.
const JOBS_AT_ONCE: usize = 500;

/// Timeout for reading the position after a commit.
const POSITION_TIMEOUT: Duration = Duration::from_secs(1);
