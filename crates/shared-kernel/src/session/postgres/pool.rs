//! The connections to one PostgreSQL server.
//!
//! sqlx's own pool waits without an end in places that no setting reaches: it pings each connection that comes back, and
//! a server that has fallen silent answers no ping, so that one silence takes all of its connections for good; and where
//! the server refuses it tries again until the time is up and then tells nobody why. This one gives a connection back as
//! it is when it is known to be at rest, throws it away when it is not, and says at once what the server said.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Waits;

/// What a pool keeps to.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Limits {
    /// How many connections there are at most.
    pub(in crate::session) size: u32,
    /// How long anybody waits for one of them to be free.
    pub(in crate::session) acquire: Duration,
    /// How long anything waits for the server's answer, the wait for a connection included.
    pub(in crate::session) answer: Duration,
    /// A connection that nobody used for so long is closed.
    pub(in crate::session) idle: Duration,
    /// A connection of this age is closed.
    pub(in crate::session) lifetime: Duration,
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Purpose {
    /// A statement that reads.
    Read,
    /// A transaction. It may have to wait for a lock that somebody holds, so not all connections are for this.
    Write,
}

/// After so much idleness a connection is asked whether it still is one: a firewall may have forgotten it.
const ASKED_AFTER: Duration = Duration::from_secs(30);

/// How long a connection has to answer that, and to be tidied up where no statement is under way.
const TIDY_TIMEOUT: Duration = Duration::from_secs(1);

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(in crate::session) struct Pool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    limits: Limits,
    all: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    /// The last one is the one that was used last.
    idle: Mutex<Vec<Idle>>,
}

struct Raw {
    connection: PgConnection,
    opened: Instant,
}

struct Idle {
    raw: Raw,
    since: Instant,
}

/// The right to a connection. Given back when dropped.
struct Room {
    _any: OwnedSemaphorePermit,
    _writer: Option<OwnedSemaphorePermit>,
}

/// A connection that is somebody's until it is dropped.
pub(in crate::session) struct Connection {
    /// `None`: it was given up.
    raw: Option<Raw>,
    room: Option<Room>,
    pool: Arc<Inner>,
    state: State,
    /// It has answered before, so if it does not now, another one may.
    used_before: bool,
    /// The moment by which what is asked now has to be answered.
    until: Instant,
    /// The moment by which the server has ended what was asked last. Later than `until` where whoever asked had to wait for
    /// the connection first: the statement may run on when nobody waits for its answer any more.
    over: Instant,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It waits for the next statement, outside of a transaction.
    AtRest,
    /// A statement is under way. If that is dropped, its answer is still to come.
    Asked,
    /// A transaction is open, whether or not a statement of it is under way.
    InTransaction,
    /// A transaction begins or ends. If that is dropped, or fails, nobody knows whether one is open.
    Unknown,
}

impl Pool {
    /// A pool without a connection yet. Reads keep a part of it for themselves, unless there is one connection only.
    pub(in crate::session) fn new(options: PgConnectOptions, limits: Limits) -> Self {
        let size = limits.size as usize;
        let kept_for_reads = if size > 1 { (size / 4).max(1) } else { 0 };
        let inner = Arc::new(Inner {
            options,
            limits,
            all: Arc::new(Semaphore::new(size)),
            writers: Arc::new(Semaphore::new(size - kept_for_reads)),
            idle: Mutex::new(Vec::new()),
        });
        tokio::spawn(close_the_idle(Arc::downgrade(&inner), limits.idle));
        Self(inner)
    }

    /// A connection, within the time that there is for an answer.
    pub(in crate::session) async fn acquire(&self, purpose: Purpose) -> sqlx::Result<Connection> {
        let limits = self.0.limits;
        let (now, pool) = (Instant::now(), &self.0);
        let until = now + limits.answer;
        let room = timeout_at(until.min(now + limits.acquire), pool.room(purpose)).await;
        let room = room.ok().flatten().ok_or(sqlx::Error::PoolTimedOut)?;
        let (raw, used_before) = match pool.usable(until).await {
            Some(raw) => (raw, true),
            None => (Raw { connection: pool.connect(until).await?, opened: Instant::now() }, false),
        };
        let (pool, state) = (Arc::clone(pool), State::AtRest);
        Ok(Connection { raw: Some(raw), room: Some(room), pool, state, used_before, until, over: now })
    }

    /// A connection that is not one of the pool's, closed again after one statement; and one of the pool's, for another.
    pub(super) async fn twice(&self, first: &str, second: &str) -> sqlx::Result<String> {
        let until = Instant::now() + self.0.limits.answer;
        let mut alone = self.0.connect(until).await?;
        let answer: String =
            within(until, sqlx::query_scalar(AssertSqlSafe(first)).fetch_one(&mut alone)).await?;
        within(until, alone.close()).await?;
        let mut connection = self.acquire(Purpose::Read).await?;
        let (until, raw) = connection.ask()?;
        let second = within(until, sqlx::query(AssertSqlSafe(second)).execute(raw)).await;
        connection.answered(second)?;
        Ok(answer)
    }

    /// Whether the server lets somebody in beside the connections of the pool, or is there and full.
    pub(in crate::session) async fn lets_in(&self, patience: Duration) -> bool {
        match self.0.connect(Instant::now() + patience).await {
            Ok(connection) => {
                say_goodbye(connection);
                true
            }
            Err(error) => is_full(&error),
        }
    }
}

impl Inner {
    /// Resolves to `None` if there is no room any more, which does not happen while there is a pool.
    async fn room(&self, purpose: Purpose) -> Option<Room> {
        // Whoever may have to wait for a lock waits here first, where no reader is behind it.
        let writer = match purpose {
            Purpose::Read => None,
            Purpose::Write => Some(Arc::clone(&self.writers).acquire_owned().await.ok()?),
        };
        Some(Room { _any: Arc::clone(&self.all).acquire_owned().await.ok()?, _writer: writer })
    }

    /// One of those that are idle, if one is any good.
    async fn usable(&self, until: Instant) -> Option<Raw> {
        loop {
            let Idle { mut raw, since } = self.idle().pop()?;
            if raw.opened.elapsed() > self.limits.lifetime {
                say_goodbye(raw.connection);
                continue;
            }
            let patience = until.min(Instant::now() + TIDY_TIMEOUT);
            if since.elapsed() < ASKED_AFTER || within(patience, raw.connection.ping()).await.is_ok() {
                return Some(raw);
            }
            self.forget_the_idle();
        }
    }

    /// Boxed, because it is large and seldom needed, and would make every future large that may need it.
    fn connect(&self, until: Instant) -> BoxFuture<'_, sqlx::Result<PgConnection>> {
        Box::pin(within(until, self.options.connect()))
    }

    /// One connection has fallen silent or broken: the others that are idle lead to the same server, and whoever took
    /// one would find that out in a whole wait of its own.
    fn forget_the_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// From here on there is as much time for an answer as there was in the beginning.
    pub(super) fn wind_up(&mut self) {
        self.until = Instant::now() + self.pool.limits.answer;
    }

    /// Less time than that.
    pub(super) fn hurry(&mut self, patience: Duration) {
        self.until = Instant::now() + patience.min(self.pool.limits.answer);
    }

    /// The connection, to ask something of; [`answered`](Self::answered) has to follow.
    pub(super) fn ask(&mut self) -> sqlx::Result<(Instant, &mut PgConnection)> {
        self.over = Instant::now() + Waits::over(self.pool.limits.answer);
        if self.state == State::AtRest {
            self.state = State::Asked;
        }
        let raw = self.raw.as_mut().ok_or_else(given_up)?;
        Ok((self.until, &mut raw.connection))
    }

    /// What was asked came to `answer`. A connection that did not answer in time, or broke, is given up.
    pub(super) fn answered<T>(&mut self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        match &answer {
            // It is at work, for all that is known: who asked had less time than it has.
            Err(error) if is_silence(error) && Instant::now() < self.over => self.leave(),
            Err(error) if is_the_end(error) => {
                // The socket closes with it; there is nobody to say goodbye to.
                (self.raw, self.room) = (None, None);
                self.pool.forget_the_idle();
            }
            _ if self.state == State::Asked => self.state = State::AtRest,
            _ => {}
        }
        answer
    }

    /// Lets go of the connection. Until it is known to be at rest, or its statement to be over, it counts: the server has no
    /// more sessions of ours than the pool may have.
    fn leave(&mut self) {
        let (Some(raw), Some(room)) = (self.raw.take(), self.room.take()) else { return };
        let until = self.over.max(Instant::now() + TIDY_TIMEOUT);
        match self.state {
            State::AtRest => give_back(&self.pool, raw, room),
            State::Asked => tidy(&self.pool, raw, room, Tidying { until, roll_back: false }),
            State::InTransaction | State::Unknown => {
                tidy(&self.pool, raw, room, Tidying { until, roll_back: true });
            }
        }
    }

    /// Whether it had been closed behind our back while it was idle, by a restart or an administrator: what was asked was
    /// never begun, and a new connection may answer it.
    pub(super) fn was_stale(&self) -> bool {
        self.raw.is_none() && self.used_before && Instant::now() < self.until
    }

    /// `BEGIN`, `COMMIT`.
    pub(super) async fn control(&mut self, sql: &'static str, after: Phase) -> sqlx::Result<()> {
        self.state = State::Unknown;
        let (until, connection) = self.ask()?;
        let answer = within(until, connection.execute(sql)).await;
        self.answered(answer)?;
        self.state = match after {
            Phase::Within => State::InTransaction,
            Phase::Outside => State::AtRest,
        };
        Ok(())
    }
}

/// Where a statement that controls a transaction leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Within,
    Outside,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
    }
}

fn give_back(pool: &Inner, raw: Raw, room: Room) {
    pool.idle().push(Idle { raw, since: Instant::now() });
    // Whoever waits for room finds the connection.
    drop(room);
}

/// How a connection is brought to rest.
#[derive(Clone, Copy, Debug)]
struct Tidying {
    /// When it is given up.
    until: Instant,
    /// Whether a transaction may be open.
    roll_back: bool,
}

/// Brings a connection that somebody left behind to rest, in the background.
fn tidy(pool: &Arc<Inner>, mut raw: Raw, room: Room, tidying: Tidying) {
    // Outside of a runtime nobody waits for it either.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let pool = Arc::clone(pool);
    runtime.spawn(async move {
        if within(tidying.until, settle(&mut raw.connection, tidying.roll_back)).await.is_ok() {
            give_back(&pool, raw, room);
        } else {
            pool.forget_the_idle();
        }
    });
}

/// Waits for the answer to what was left behind, and ends the transaction.
async fn settle(connection: &mut PgConnection, roll_back: bool) -> sqlx::Result<()> {
    let mut settled = ask_for_rest(connection, roll_back).await;
    if settled.as_ref().is_err_and(|error| !is_the_end(error)) {
        // This was the answer to what was left behind: most often that it took too long.
        settled = ask_for_rest(connection, roll_back).await;
    }
    settled
}

async fn ask_for_rest(connection: &mut PgConnection, roll_back: bool) -> sqlx::Result<()> {
    if roll_back { connection.execute("ROLLBACK").await.map(drop) } else { connection.ping().await }
}

/// Closes in order, without anybody waiting for it.
fn say_goodbye(connection: PgConnection) {
    tokio::spawn(timeout(TIDY_TIMEOUT, connection.close()));
}

/// Closes what nobody has used for so long, as long as there is a pool.
async fn close_the_idle(pool: Weak<Inner>, limit: Duration) {
    loop {
        tokio::time::sleep(limit.min(ASKED_AFTER)).await;
        let Some(pool) = pool.upgrade() else { return };
        let old: Vec<Idle> = pool.idle().extract_if(.., |idle| idle.since.elapsed() > limit).collect();
        for idle in old {
            say_goodbye(idle.raw.connection);
        }
    }
}

/// `answer`, if it comes in time.
pub(super) async fn within<T>(
    until: Instant,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    timeout_at(until, answer).await.unwrap_or_else(|_| {
        let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "the server did not answer in time");
        Err(sqlx::Error::Io(silence))
    })
}

fn given_up() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection was given up"))
}

/// Whether nothing came in time.
fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether a connection that answered with this is of no use any more.
fn is_the_end(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // The server has closed it: a shutdown, `pg_terminate_backend`, `idle_in_transaction_session_timeout`.
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<PgDatabaseError>()
            // 25006: it is a standby now. Whoever connects anew may find the primary.
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
