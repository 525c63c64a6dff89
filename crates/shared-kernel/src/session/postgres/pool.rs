//! The connections to one PostgreSQL server.
//!
//! The pool of sqlx has waits without a timeout that no setting changes: it pings each connection that is released, and a server
//! that has become unreachable does not answer, so that one outage blocks all connections for ever. Where the server refuses
//! connections, it retries until the timeout and then hides the reason. This pool releases a connection without a ping if it is
//! known to be idle, closes it otherwise, and returns the server's error at once.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::runtime::{Handle, Id as RuntimeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Waits;

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Limits {
    /// Maximum number of connections.
    pub(in crate::session) size: u32,
    /// Timeout for getting a connection.
    pub(in crate::session) acquire: Duration,
    /// Timeout for the answer of the server, including the wait for a connection.
    pub(in crate::session) answer: Duration,
    /// Idle time after which a connection is closed.
    pub(in crate::session) idle: Duration,
    /// Age at which a connection is closed.
    pub(in crate::session) lifetime: Duration,
}

impl Limits {
    /// Number of connections for transactions.
    fn writers(self) -> usize {
        let size = self.size as usize;
        let kept_for_reads = if size > 1 { (size / 4).max(1) } else { 0 };
        size - kept_for_reads
    }
}

/// Purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Purpose {
    /// A statement that reads.
    Read,
    /// A transaction. It may have to wait for a lock, so some connections are reserved for reads.
    Write,
}

/// Idle time after which a connection is pinged before it is used: a firewall may have dropped it.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);

/// Timeout of that ping, and of cleaning up a connection on which no statement is running.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// A pool. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub(in crate::session) struct Pool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    limits: Limits,
    all: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    /// Idle connections; the most recently used one is the last.
    idle: Mutex<Vec<Idle>>,
}

struct Raw {
    connection: PgConnection,
    opened: Instant,
    /// The runtime that it was opened on, which watches its socket.
    home: RuntimeId,
}

struct Idle {
    raw: Raw,
    since: Instant,
}

/// Permission to use a connection. Released when dropped.
struct Permit {
    _any: OwnedSemaphorePermit,
    _writer: Option<OwnedSemaphorePermit>,
}

/// A connection in use. Released when dropped.
pub(in crate::session) struct Connection {
    /// `None` if the connection was abandoned.
    raw: Option<Raw>,
    permit: Option<Permit>,
    pool: Arc<Inner>,
    state: State,
    /// Whether it comes from the pool: if it does not answer now, a new connection may.
    reused: bool,
    /// Deadline of the current statement.
    until: Instant,
    /// Time by which the server has ended the last statement. It is later than `until` if the caller had to wait for the connection
    /// first: then the statement may still run after the caller's deadline.
    ended_by: Instant,
}

/// Known state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No statement is running, and no transaction is open.
    Ready,
    /// A statement is running. If its future is dropped, its answer has yet to be read.
    Running,
    /// A transaction is open, whether or not one of its statements is running.
    InTransaction,
    /// A transaction begins or ends. If that future is dropped or fails, a transaction may be open or not.
    Unknown,
}

impl Pool {
    /// A pool without connections yet. A quarter is reserved for reads, unless there is only one connection.
    pub(in crate::session) fn new(options: PgConnectOptions, limits: Limits) -> Self {
        let size = limits.size as usize;
        let inner = Arc::new(Inner {
            options,
            limits,
            all: Arc::new(Semaphore::new(size)),
            writers: Arc::new(Semaphore::new(limits.writers())),
            idle: Mutex::new(Vec::new()),
        });
        tokio::spawn(close_expired(Arc::downgrade(&inner), limits.idle));
        Self(inner)
    }

    /// Number of connections for transactions.
    pub(in crate::session) fn writers(&self) -> usize {
        self.0.limits.writers()
    }

    /// A connection, within the timeout of an answer.
    pub(in crate::session) async fn acquire(&self, purpose: Purpose) -> sqlx::Result<Connection> {
        let limits = self.0.limits;
        let (now, pool) = (Instant::now(), &self.0);
        let until = now + limits.answer;
        let permit = timeout_at(until.min(now + limits.acquire), pool.permit(purpose)).await;
        let permit = permit.ok().flatten().ok_or(sqlx::Error::PoolTimedOut)?;
        let (raw, reused) = match pool.reusable(until).await {
            Some(raw) => (raw, true),
            None => (pool.open(until).await?, false),
        };
        let (pool, state) = (Arc::clone(pool), State::Ready);
        Ok(Connection { raw: Some(raw), permit: Some(permit), pool, state, reused, until, ended_by: now })
    }

    /// Runs the first statement on a connection outside the pool and the second one on a connection of the pool.
    pub(super) async fn twice(&self, first: &str, second: &str) -> sqlx::Result<String> {
        let until = Instant::now() + self.0.limits.answer;
        let mut alone = self.0.connect(until).await?;
        let answer: String =
            within(until, sqlx::query_scalar(AssertSqlSafe(first)).fetch_one(&mut alone)).await?;
        within(until, alone.close()).await?;
        let mut connection = self.acquire(Purpose::Read).await?;
        let (until, raw) = connection.start()?;
        let second = within(until, sqlx::query(AssertSqlSafe(second)).execute(raw)).await;
        connection.finish(second)?;
        Ok(answer)
    }

    /// Whether the server accepts a connection besides those of the pool, or is reachable and has no connection left.
    pub(in crate::session) async fn accepts_connections(&self, patience: Duration) -> bool {
        match self.0.connect(Instant::now() + patience).await {
            Ok(connection) => {
                close(connection);
                true
            }
            Err(error) => is_full(&error),
        }
    }
}

impl Inner {
    /// `None` if the semaphore was closed, which does not happen while the pool exists.
    async fn permit(&self, purpose: Purpose) -> Option<Permit> {
        // Writers may have to wait for locks, so they queue here first, where no reader waits behind them.
        let writer = match purpose {
            Purpose::Read => None,
            Purpose::Write => Some(Arc::clone(&self.writers).acquire_owned().await.ok()?),
        };
        Some(Permit { _any: Arc::clone(&self.all).acquire_owned().await.ok()?, _writer: writer })
    }

    /// An idle connection that still works, if there is one.
    async fn reusable(&self, until: Instant) -> Option<Raw> {
        loop {
            let Idle { mut raw, since } = self.next_idle()?;
            if raw.opened.elapsed() > self.limits.lifetime {
                close(raw.connection);
                continue;
            }
            let patience = until.min(Instant::now() + CLEAN_UP_TIMEOUT);
            if since.elapsed() < PING_AFTER_IDLE || within(patience, raw.connection.ping()).await.is_ok() {
                return Some(raw);
            }
            self.close_all_idle();
        }
    }

    /// The most recently used idle connection of this runtime: the socket of another runtime's connection is polled there, so that each
    /// answer wakes two threads. `None` if there is none and the pool may still open one.
    fn next_idle(&self) -> Option<Idle> {
        let here = Handle::current().id();
        let mut idle = self.idle();
        if let Some(index) = idle.iter().rposition(|idle| idle.raw.home == here) {
            return Some(idle.remove(index));
        }
        let in_use = self.limits.size as usize - self.all.available_permits();
        // The caller has its permit already.
        if idle.len() + in_use > self.limits.size as usize { idle.pop() } else { None }
    }

    /// A new connection of this runtime.
    async fn open(&self, until: Instant) -> sqlx::Result<Raw> {
        let (opened, home) = (Instant::now(), Handle::current().id());
        Ok(Raw { connection: self.connect(until).await?, opened, home })
    }

    /// Boxed: the future is large and rarely needed, and would enlarge every future that contains it.
    fn connect(&self, until: Instant) -> BoxFuture<'_, sqlx::Result<PgConnection>> {
        Box::pin(within(until, self.options.connect()))
    }

    /// Closes all idle connections after one has failed: they lead to the same server, and each user of one would wait for a whole
    /// timeout.
    fn close_all_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Starts the timeout of an answer again.
    pub(super) fn renew_deadline(&mut self) {
        self.until = Instant::now() + self.pool.limits.answer;
    }

    /// Sets a shorter timeout.
    pub(super) fn shorten_deadline(&mut self, patience: Duration) {
        self.until = Instant::now() + patience.min(self.pool.limits.answer);
    }

    /// The raw connection, for a statement; [`finish`](Self::finish) has to follow.
    pub(super) fn start(&mut self) -> sqlx::Result<(Instant, &mut PgConnection)> {
        self.ended_by = Instant::now() + Waits::over(self.pool.limits.answer);
        if self.state == State::Ready {
            self.state = State::Running;
        }
        let raw = self.raw.as_mut().ok_or_else(abandoned)?;
        Ok((self.until, &mut raw.connection))
    }

    /// Ends a statement with its `answer`. A connection that timed out or broke is abandoned.
    pub(super) fn finish<T>(&mut self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        match &answer {
            // The statement may still be running: the caller had less time than the server.
            Err(error) if is_timeout(error) && Instant::now() < self.ended_by => self.release_connection(),
            Err(error) if is_fatal(error) => {
                // Dropping it closes the socket; the server cannot be told.
                (self.raw, self.permit) = (None, None);
                self.pool.close_all_idle();
            }
            _ if self.state == State::Running => self.state = State::Ready,
            _ => {}
        }
        answer
    }

    /// Releases the connection. It keeps its permit until it is known to be idle or its statement has ended, so that the server never
    /// has more sessions than the pool may have connections.
    fn release_connection(&mut self) {
        let (Some(raw), Some(permit)) = (self.raw.take(), self.permit.take()) else { return };
        let until = self.ended_by.max(Instant::now() + CLEAN_UP_TIMEOUT);
        match self.state {
            State::Ready => release(&self.pool, raw, permit),
            State::Running => clean_up(&self.pool, raw, permit, CleanUp { until, roll_back: false }),
            State::InTransaction | State::Unknown => {
                clean_up(&self.pool, raw, permit, CleanUp { until, roll_back: true });
            }
        }
    }

    /// Whether the server closed the connection while it was idle, after a restart or by an administrator: the statement was not
    /// started, and can be repeated on a new connection.
    pub(super) fn was_stale(&self) -> bool {
        self.raw.is_none() && self.reused && Instant::now() < self.until
    }

    /// Runs `BEGIN` or `COMMIT`.
    pub(super) async fn control(&mut self, sql: &'static str, after: Phase) -> sqlx::Result<()> {
        self.state = State::Unknown;
        let (until, connection) = self.start()?;
        let answer = within(until, connection.execute(sql)).await;
        self.finish(answer)?;
        self.state = match after {
            Phase::Within => State::InTransaction,
            Phase::Outside => State::Ready,
        };
        Ok(())
    }
}

/// Whether a transaction is open after a statement that controls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Within,
    Outside,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.release_connection();
    }
}

fn release(pool: &Inner, raw: Raw, permit: Permit) {
    pool.idle().push(Idle { raw, since: Instant::now() });
    // Only now: the next task that gets the permit finds the connection.
    drop(permit);
}

/// How a connection is cleaned up.
#[derive(Clone, Copy, Debug)]
struct CleanUp {
    /// Time after which it is abandoned.
    until: Instant,
    /// Whether a transaction may be open and has to be rolled back.
    roll_back: bool,
}

/// Cleans up a released connection in the background, so that it can be used again.
fn clean_up(pool: &Arc<Inner>, mut raw: Raw, permit: Permit, how: CleanUp) {
    // Outside of a runtime the process is ending.
    let Ok(runtime) = Handle::try_current() else { return };
    let pool = Arc::clone(pool);
    runtime.spawn(async move {
        if within(how.until, settle(&mut raw.connection, how.roll_back)).await.is_ok() {
            release(&pool, raw, permit);
        } else {
            pool.close_all_idle();
        }
    });
}

/// Reads the answer to an abandoned statement, and rolls the transaction back.
async fn settle(connection: &mut PgConnection, roll_back: bool) -> sqlx::Result<()> {
    let mut settled = reset(connection, roll_back).await;
    if settled.as_ref().is_err_and(|error| !is_fatal(error)) {
        // The error belongs to the abandoned statement; most often it is its timeout.
        settled = reset(connection, roll_back).await;
    }
    settled
}

async fn reset(connection: &mut PgConnection, roll_back: bool) -> sqlx::Result<()> {
    if roll_back { connection.execute("ROLLBACK").await.map(drop) } else { connection.ping().await }
}

/// Closes a connection properly, in the background.
fn close(connection: PgConnection) {
    tokio::spawn(timeout(CLEAN_UP_TIMEOUT, connection.close()));
}

/// Closes connections that have been idle for too long, until the pool is dropped.
async fn close_expired(pool: Weak<Inner>, limit: Duration) {
    loop {
        tokio::time::sleep(limit.min(PING_AFTER_IDLE)).await;
        let Some(pool) = pool.upgrade() else { return };
        let old: Vec<Idle> = pool.idle().extract_if(.., |idle| idle.since.elapsed() > limit).collect();
        for idle in old {
            close(idle.raw.connection);
        }
    }
}

/// The answer, or a timeout.
pub(super) async fn within<T>(
    until: Instant,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    timeout_at(until, answer).await.unwrap_or_else(|_| {
        let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not answer in time");
        Err(sqlx::Error::Io(silence))
    })
}

fn abandoned() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection was abandoned"))
}

/// Whether the server did not answer in time.
fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether a connection cannot be used after this error.
fn is_fatal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // The server has closed it: a shutdown, `pg_terminate_backend`, `idle_in_transaction_session_timeout`.
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            // 25006: the server is a standby now. A new connection may lead to the primary.
            .is_some_and(|error| {
                error.code() == "25006" || matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
            }),
        _ => false,
    }
}

/// 53300: too many connections, for the server, the database or the role.
pub(in crate::session) fn is_full(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("53300"))
}
